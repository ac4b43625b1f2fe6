"""Requests with retries, sync and async. Both follow the same `Plan`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

import httpx

from ._backoff import backoff
from ._call import Answer, Call, Repeat, T
from ._version import __version__
from .errors import (
    APIConnectionError,
    APITimeoutError,
    InvalidResponseError,
    MemtraceError,
    error_of,
)

DEFAULT_URL: Final = "http://localhost:9100"
#: Seconds: more is not waited for, the error says when to come back.
RETRY_AFTER_MAX: Final = 60.0
TRANSIENT: Final = frozenset({429, 502, 503, 504})
#: What a server says that did nothing with the request.
REFUSED: Final = frozenset({"rate_limited", "overloaded", "not_ready", "draining"})
NDJSON: Final = "application/x-ndjson"
USER_AGENT: Final = (
    f"memtrace-client/{__version__} python/{sys.version_info[0]}.{sys.version_info[1]}"
)


@dataclass(frozen=True)
class Settings:
    """What a client sends with each request and how long it tries."""

    base_url: str
    api_key: str
    #: Seconds without progress: to connect, and between pieces of the answer.
    timeout: float = 30.0
    #: How often a failed request is sent again.
    retries: int = 4

    @staticmethod
    def of(base_url: str | None, api_key: str | None, timeout: float, retries: int) -> Settings:
        """Fills in MEMTRACE_URL and MEMTRACE_API_KEY of the environment."""
        url = base_url or os.environ.get("MEMTRACE_URL") or DEFAULT_URL
        key = api_key if api_key is not None else os.environ.get("MEMTRACE_API_KEY", "")
        return Settings(url.rstrip("/"), key, timeout, retries)

    def changed(self, timeout: float | None, retries: int | None) -> Settings:
        return replace(
            self,
            timeout=self.timeout if timeout is None else timeout,
            retries=self.retries if retries is None else retries,
        )


class Plan:
    """One call over its tries: what to send, and whether to send it again."""

    def __init__(self, settings: Settings, call: Call[T], content_type: str | None = None) -> None:
        self.settings = settings
        self.call = call
        self.url = settings.base_url + call.path
        self.failures = 0
        self.lost = False
        self.headers = {"user-agent": USER_AGENT}
        if settings.api_key:
            self.headers["x-api-key"] = settings.api_key
        if content_type or call.body is not None:
            self.headers["content-type"] = content_type or "application/json"
        if call.repeat == "keyed":
            self.headers["idempotency-key"] = call.idempotency_key or str(uuid4())

    def read(self, status: int, headers: Mapping[str, str], content: bytes) -> Answer:
        """Raises the error of an answer that is one."""
        # Gone, as was asked for by a try whose answer was lost.
        gone = self.lost and self.call.method == "DELETE" and status == 404
        if status >= 300 and not gone:
            raise error_of(status, headers, content)
        return Answer(status, headers, content)

    def pause_after(self, error: MemtraceError) -> float:
        """Seconds until the next try; raises the error if there is none."""
        self.failures += 1
        self.lost = self.lost or isinstance(error, APIConnectionError)
        if self.failures > self.settings.retries or not may_repeat(error, self.call.repeat):
            raise error
        return backoff(self.failures, error.retry_after)


def may_repeat(error: MemtraceError, repeat: Repeat) -> bool:
    """Whether sending again can help and can do no harm."""
    if (error.retry_after or 0.0) > RETRY_AFTER_MAX:
        return False
    if repeat == "once":
        return error.code in REFUSED
    return isinstance(error, APIConnectionError) or error.status in TRANSIENT


def connection_error(error: httpx.HTTPError | httpx.InvalidURL, url: str) -> MemtraceError:
    """What httpx found, in the terms of this package."""
    detail = str(error) or type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        return APITimeoutError(f"no answer of {url} in time: {detail}", code="timeout")
    if isinstance(error, (httpx.TransportError, httpx.StreamError)):
        return APIConnectionError(f"no answer of {url}: {detail}", code="connection_failed")
    return InvalidResponseError(f"{url}: {detail}")


class SyncTransport:
    """Over an httpx.Client. Safe to share between threads."""

    def __init__(self, settings: Settings, http: httpx.Client | None = None) -> None:
        self.settings = settings
        self.owned = http is None
        self.http = http or httpx.Client(limits=httpx.Limits(max_connections=None))

    def with_settings(self, settings: Settings) -> SyncTransport:
        """The same connections with other settings."""
        other = SyncTransport(settings, self.http)
        other.owned = False
        return other

    def close(self) -> None:
        if self.owned:
            self.http.close()

    def send(self, call: Call[T]) -> T:
        plan = Plan(self.settings, call)
        while True:
            try:
                return call.parse(self._once(plan))
            except MemtraceError as error:
                time.sleep(plan.pause_after(error))

    def _once(self, plan: Plan) -> Answer:
        call = plan.call
        try:
            response = self.http.request(
                call.method,
                plan.url,
                params=call.query or None,
                content=call.body,
                headers=plan.headers,
                timeout=plan.settings.timeout,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise connection_error(error, plan.settings.base_url) from error
        return plan.read(response.status_code, response.headers, response.content)

    @contextmanager
    def lines(self, call: Call[None]) -> Iterator[Iterator[bytes]]:
        """The lines of an answer, which is opened with retries and then read once."""
        plan = Plan(self.settings, call)
        while True:
            try:
                response = self._open(plan)
                break
            except MemtraceError as error:
                time.sleep(plan.pause_after(error))
        try:
            yield split_lines(self._pieces(response))
        finally:
            response.close()

    def _open(self, plan: Plan) -> httpx.Response:
        request = self.http.build_request(
            plan.call.method,
            plan.url,
            params=plan.call.query or None,
            headers=plan.headers,
            timeout=plan.settings.timeout,
        )
        try:
            response = self.http.send(request, stream=True)
            if response.status_code >= 300:
                response.read()
                response.close()
                plan.read(response.status_code, response.headers, response.content)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise connection_error(error, plan.settings.base_url) from error
        return response

    def _pieces(self, response: httpx.Response) -> Iterator[bytes]:
        try:
            yield from response.iter_bytes()
        except httpx.HTTPError as error:
            raise connection_error(error, self.settings.base_url) from error

    def upload(self, call: Call[T], pieces: Iterable[bytes]) -> T:
        """One try with a body that cannot be sent twice."""
        plan = Plan(self.settings, call, NDJSON)
        try:
            response = self.http.request(
                call.method,
                plan.url,
                content=pieces,
                headers=plan.headers,
                timeout=plan.settings.timeout,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise connection_error(error, plan.settings.base_url) from error
        return call.parse(plan.read(response.status_code, response.headers, response.content))


class AsyncTransport:
    """Over an httpx.AsyncClient; belongs to one event loop."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient | None = None) -> None:
        self.settings = settings
        self.owned = http is None
        self.http = http or httpx.AsyncClient(limits=httpx.Limits(max_connections=None))

    def with_settings(self, settings: Settings) -> AsyncTransport:
        """The same connections with other settings."""
        other = AsyncTransport(settings, self.http)
        other.owned = False
        return other

    async def close(self) -> None:
        if self.owned:
            await self.http.aclose()

    async def send(self, call: Call[T]) -> T:
        plan = Plan(self.settings, call)
        while True:
            try:
                return call.parse(await self._once(plan))
            except MemtraceError as error:
                await asyncio.sleep(plan.pause_after(error))

    async def _once(self, plan: Plan) -> Answer:
        call = plan.call
        try:
            response = await self.http.request(
                call.method,
                plan.url,
                params=call.query or None,
                content=call.body,
                headers=plan.headers,
                timeout=plan.settings.timeout,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise connection_error(error, plan.settings.base_url) from error
        return plan.read(response.status_code, response.headers, response.content)

    @asynccontextmanager
    async def lines(self, call: Call[None]) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of an answer, which is opened with retries and then read once."""
        plan = Plan(self.settings, call)
        while True:
            try:
                response = await self._open(plan)
                break
            except MemtraceError as error:
                await asyncio.sleep(plan.pause_after(error))
        try:
            yield split_lines_async(self._pieces(response))
        finally:
            await response.aclose()

    async def _open(self, plan: Plan) -> httpx.Response:
        request = self.http.build_request(
            plan.call.method,
            plan.url,
            params=plan.call.query or None,
            headers=plan.headers,
            timeout=plan.settings.timeout,
        )
        try:
            response = await self.http.send(request, stream=True)
            if response.status_code >= 300:
                await response.aread()
                await response.aclose()
                plan.read(response.status_code, response.headers, response.content)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise connection_error(error, plan.settings.base_url) from error
        return response

    async def _pieces(self, response: httpx.Response) -> AsyncIterator[bytes]:
        try:
            async for piece in response.aiter_bytes():
                yield piece
        except httpx.HTTPError as error:
            raise connection_error(error, self.settings.base_url) from error

    async def upload(self, call: Call[T], pieces: AsyncIterable[bytes]) -> T:
        """One try with a body that cannot be sent twice."""
        plan = Plan(self.settings, call, NDJSON)
        try:
            response = await self.http.request(
                call.method,
                plan.url,
                content=pieces,
                headers=plan.headers,
                timeout=plan.settings.timeout,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise connection_error(error, plan.settings.base_url) from error
        return call.parse(plan.read(response.status_code, response.headers, response.content))


# httpx's own iter_lines also breaks at U+2028 and its like, which may stand inside a JSON string.


def split_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a stream, without their ends; not the blank ones."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from filter(None, lines)
    if rest:
        yield rest


async def split_lines_async(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """As split_lines."""
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in filter(None, lines):
            yield line
    if rest:
        yield rest
