"""Starts, kills and restarts the real server; a fake one that fails as it is told."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import httpx

_ROOT = Path(__file__).resolve().parents[3]
PROGRAM = os.environ.get("MEMTRACE_TEST_PROGRAM", str(_ROOT / "dist/cmd/memtrace/main.js"))
KEY = "mtk_" + "t" * 40
_names = count()


def unique(prefix: str) -> str:
    """A name that no other test of this run has."""
    return f"{prefix}-{os.getpid()}-{next(_names)}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """The built program on a free port and a directory of its own, which survives restarts."""

    def __init__(self, **env: str) -> None:
        self.key = KEY
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = tempfile.mkdtemp(prefix="memtrace-py-")
        self.log = Path(self.data).with_suffix(".log")
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", ""),
            "MEMTRACE_STORAGE_DATA_DIR": self.data,
            "MEMTRACE_SERVER_PORT": str(self.port),
            "MEMTRACE_AUTH_BOOTSTRAP_KEY": KEY,
            **self._env,
        }
        with self.log.open("ab") as log:
            # Elsewhere: the checkout's own configuration must not be read.
            self._process = subprocess.Popen(
                ["node", PROGRAM, "serve"],
                cwd=tempfile.gettempdir(),
                env=env,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/ready", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"the server did not start:\n{self.log.read_text()[-4000:]}")

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)
        shutil.rmtree(self.data, ignore_errors=True)
        self.log.unlink(missing_ok=True)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(30)
        self._process = None


@dataclass
class Reply:
    """What the fake server does: answers, or hangs up if the status is 0."""

    status: int
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    #: Hang up only after the body of the request is read: the answer is lost, not the request.
    delay: float = 0.0


@dataclass
class Seen:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@contextmanager
def scripted(*replies: Reply) -> Iterator[tuple[str, list[Seen]]]:
    """A server that gives these replies in turn, and the last of them for ever."""
    seen: list[Seen] = []
    left = list(replies)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                seen.append(Seen(self.command, self.path, headers, body))
                reply = left.pop(0) if len(left) > 1 else left[0]
            time.sleep(reply.delay)
            if reply.status == 0:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_DELETE = do  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    fake = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=fake.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{fake.server_address[1]}", seen
    finally:
        fake.shutdown()
        fake.server_close()
