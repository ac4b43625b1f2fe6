"""The memory tools that every framework's adapter offers: their names, texts and deeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from ._items import ident, safe_lines
from .client import Memtrace
from .errors import MemtraceError
from .models import MemoryExtras, MemoryType

REMEMBER: Final = (
    "Store a fact, an observation or a result that later turns or sessions may need. "
    "Write it so that it makes sense on its own. importance: 0 to 1."
)
DECIDE: Final = "Store a decision and the reasoning behind it."
RECALL: Final = (
    "Read what is remembered of this session, the newest first. "
    "since: how far back, such as 24h, 7d or all."
)
WITHOUT_CONVERSATION: Final[tuple[MemoryType, ...]] = ("episodic", "decision", "entity")
SEARCH: Final = "Find memories of any session whose text contains the given words, as they stand."


@dataclass(frozen=True)
class MemoryTools:
    """What the tools do. They answer with text for a model, also when something is wrong."""

    client: Memtrace
    agent_id: str
    session_id: str
    #: Of what `recall` shows.
    max_tokens: int = 2_000
    #: Whether it shows the conversation's items too. The framework sends those itself.
    conversation: bool = False

    def remember(self, content: str, importance: float = 0.5) -> str:
        extras = self._extras()
        extras["importance"] = min(1.0, max(0.0, importance))
        try:
            self.client.remember(ident(self.agent_id), content, **extras)
        except MemtraceError as error:
            return _told(error)
        return "Remembered."

    def decide(self, decision: str, reasoning: str) -> str:
        try:
            self.client.decide(ident(self.agent_id), decision, reasoning, **self._extras())
        except MemtraceError as error:
            return _told(error)
        return "Remembered."

    def recall(self, since: str = "all") -> str:
        try:
            return self.context(since)
        except MemtraceError as error:
            return _told(error)

    def search(self, text: str, limit: int = 10) -> str:
        try:
            found = self.client.search(
                agent_id=ident(self.agent_id),
                content_contains=text,
                limit=min(50, max(1, limit)),
            )
            return safe_lines(found.page().results)
        except MemtraceError as error:
            return _told(error)

    def context(self, since: str = "all") -> str:
        """The session as markdown that is safe to put into a prompt."""
        session = self.client.session(ident(self.session_id))
        types = None if self.conversation else WITHOUT_CONVERSATION
        return session.context(since=since, max_tokens=self.max_tokens, include_types=types).context

    def _extras(self) -> MemoryExtras:
        return {"session_id": ident(self.session_id), "dedup_key": f"tool_{uuid4().hex}"}


def _told(error: MemtraceError) -> str:
    return f"That did not work: {error.message}" + (f" ({error.hint})" if error.hint else "")
