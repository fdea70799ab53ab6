"""Changing the words to expect on a Deepgram connection that is in use."""

from collections.abc import Awaitable, Callable

import trio

from protocols.deepgram import fitting_keyterms
from protocols.deepgram_messages import configure

ANSWER_S = 5.0
"""How long an answer to `Configure` is waited for; then the next change goes all the same (pipecat waits as long)."""


class Keyterms:
    """Keeps one `Configure` in flight: Deepgram refuses more (pipecat#4791); the newest words win."""

    def __init__(self, send: Callable[[str], Awaitable[None]], *, takes_them: bool) -> None:
        self._send = send
        self._takes_them = takes_them
        self._asked_at: float | None = None
        self._next: tuple[str, ...] | None = None

    async def replace(self, keyterms: tuple[str, ...]) -> None:
        """Expect these words in place of the earlier ones. May block while the provider does not read."""
        if not self._takes_them:
            return
        if self._asked_at is not None and trio.current_time() < self._asked_at + ANSWER_S:
            self._next = keyterms
            return
        self._asked_at, self._next = trio.current_time(), None
        await self._send(configure(fitting_keyterms(keyterms)))

    async def answered(self) -> None:
        """The provider has answered, for better or worse: what waits may go."""
        self._asked_at = None
        if self._next is not None:
            await self.replace(self._next)
