"""Lists that are fetched page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

Item = TypeVar("Item")


class PageLike(Protocol):
    """What every page of a list has."""

    has_more: bool
    next_cursor: str | None


Page = TypeVar("Page", bound=PageLike)


class Pages(Generic[Item, Page]):
    """Iterate it for every item of every page; ``page()`` is the first page alone.

    Nothing is sent before one of these; each page is fetched when it is reached.
    """

    def __init__(
        self, fetch: Callable[[str | None], Page], items: Callable[[Page], Sequence[Item]]
    ) -> None:
        self._fetch = fetch
        self._items = items

    def page(self) -> Page:
        return self._fetch(None)

    def pages(self) -> Iterator[Page]:
        page = self._fetch(None)
        yield page
        while page.has_more and page.next_cursor is not None:
            page = self._fetch(page.next_cursor)
            yield page

    def __iter__(self) -> Iterator[Item]:
        for page in self.pages():
            yield from self._items(page)

    def all(self, limit: int | None = None) -> list[Item]:
        """The items of all pages, or the first ``limit`` of them."""
        return list(islice(self, limit))


class AsyncPages(Generic[Item, Page]):
    """``async for`` it for every item of every page; ``await`` it for the first page alone.

    Nothing is sent before one of these; each page is fetched when it is reached.
    """

    def __init__(
        self,
        fetch: Callable[[str | None], Awaitable[Page]],
        items: Callable[[Page], Sequence[Item]],
    ) -> None:
        self._fetch = fetch
        self._items = items

    async def page(self) -> Page:
        return await self._fetch(None)

    def __await__(self) -> Generator[Any, None, Page]:
        return self.page().__await__()

    async def pages(self) -> AsyncIterator[Page]:
        page = await self._fetch(None)
        yield page
        while page.has_more and page.next_cursor is not None:
            page = await self._fetch(page.next_cursor)
            yield page

    async def __aiter__(self) -> AsyncIterator[Item]:
        async for page in self.pages():
            for item in self._items(page):
                yield item

    async def all(self, limit: int | None = None) -> list[Item]:
        """The items of all pages, or the first ``limit`` of them."""
        items: list[Item] = []
        if limit is not None and limit <= 0:
            return items
        async for item in self:
            items.append(item)
            if len(items) == limit:
                break
        return items
