"""People who talk to sessions through crashes, and remember what was acknowledged."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import trio
from trio_websocket import ConnectionClosed, HandshakeError


@dataclass
class Person:
    """Who talks in one session: what was said, each with itself as its id, and what of it was acknowledged."""

    session_id: str
    said: list[str] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)

    @property
    def unsure(self) -> list[str]:
        """What is to be said again after a reconnect."""
        return [words for words in self.said if words not in self.acknowledged]

    def think(self) -> str:
        """Something new to say."""
        self.said.append(f"{self.session_id[-4:]} says {len(self.said)}")
        return self.said[-1]

    def check(self, replay: list[dict[str, str]]) -> None:
        """The replay of the conversation has all that was acknowledged, and nothing twice."""
        self._check([line["text"] for line in replay if line["role"] == "user"])

    def check_document(self, document: dict[str, Any]) -> None:
        """So has the session's document in MongoDB, and its turns are numbered without a gap."""
        turns = document["turns"]
        assert [turn["turn"] for turn in turns] == list(range(1, len(turns) + 1))
        assert [turn["clientId"] for turn in turns] == [turn["text"] for turn in turns]
        self._check([turn["clientId"] for turn in turns])

    def _check(self, stored: list[str]) -> None:
        lost = self.acknowledged - set(stored)
        assert not lost, f"acknowledged, but not there: {lost}"
        twice = [words for words, count in Counter(stored).items() if count > 1]
        assert not twice, f"there twice: {twice}"
        assert set(stored) <= set(self.said)


@contextmanager
def suppress_the_crash() -> Iterator[None]:
    """What a client sees of it: the connection ends, or cannot be had."""
    try:
        yield
    except* (ConnectionClosed, HandshakeError, OSError, trio.BrokenResourceError):
        pass
