"""One JSON value a line: what an upload sends, and what an export is."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

from pydantic_core import from_json

from ._routes import memory_json
from .errors import CutStreamError
from .models import Memory, MemoryLike

#: Pieces that are worth a system call each.
CHUNK_BYTES = 64 * 1024


class _Joiner:
    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.size = 0

    def add(self, memory: MemoryLike) -> bytes | None:
        line = memory_json(memory)
        self.lines += (line, b"\n")
        self.size += len(line) + 1
        return self.take() if self.size >= CHUNK_BYTES else None

    def take(self) -> bytes:
        piece = b"".join(self.lines)
        self.lines, self.size = [], 0
        return piece


def pieces(memories: Iterable[MemoryLike]) -> Iterator[bytes]:
    joiner = _Joiner()
    for memory in memories:
        piece = joiner.add(memory)
        if piece is not None:
            yield piece
    if joiner.size > 0:
        yield joiner.take()


async def pieces_async(
    memories: Iterable[MemoryLike] | AsyncIterable[MemoryLike],
) -> AsyncIterator[bytes]:
    joiner = _Joiner()
    if isinstance(memories, AsyncIterable):
        async for memory in memories:
            piece = joiner.add(memory)
            if piece is not None:
                yield piece
    else:
        for piece in pieces(memories):
            yield piece
    if joiner.size > 0:
        yield joiner.take()


class ExportReader:
    """Reads the lines of an export and knows whether it was whole."""

    def __init__(self) -> None:
        self.count = 0
        self.ended = False
        self.incomplete = False

    def read(self, line: bytes) -> Memory | None:
        """A memory, or None for the last line. Raises CutStreamError."""
        try:
            value = from_json(line)
        except ValueError as error:
            raise self.cut() from error
        if "end" not in value:
            self.count += 1
            return Memory.model_validate(value)
        if value.get("count") != self.count:
            raise self.cut()
        self.ended = True
        self.incomplete = value.get("incomplete") is True
        return None

    def finish(self) -> None:
        if not self.ended:
            raise self.cut()

    def cut(self) -> CutStreamError:
        message = f"the export was cut after {self.count} memories"
        return CutStreamError(message, code="cut_stream")
