"""Plays recordings into a session, as a browser would send them, and waits for the replies."""

from collections.abc import Sequence

import trio

from evaa.commands.play import Recording
from evaa.commands.talk_client import Client
from evaa.commands.talk_terminal import Terminal
from evaa.commands.talk_view import declare, end_speech

QUIET_S = 1.0
"""How long nothing must come after the reply: what was said last may still be on its way through recognition."""

PATIENCE_S = 20.0
"""How long nothing at all may come while something is awaited."""


class Player:
    """Plays one recording after the other; whatever the terminal reads, such as Ctrl-C, ends that.

    A recording is played again from its beginning if the connection is lost before all of it was heard: the rest of a
    recording is of no use without its beginning, and a page would have to begin a new one as well.
    """

    def __init__(self, client: Client, terminal: Terminal, recordings: Sequence[Recording]) -> None:
        self._client = client
        self._terminal = terminal
        self._recordings = recordings
        self._answered = 0

    async def run(self) -> None:
        """Play them all, then end the run: with status 0 if one of them was answered, or the interview is complete."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._leave_when_told)
            for recording in self._recordings:
                await self._play(recording)
            await self._client.until_documents()
            self._leave()

    async def _leave_when_told(self) -> None:
        await self._terminal.read()
        self._leave()

    def _leave(self) -> None:
        self._client.finish(0 if self._answered or self._client.view.is_complete else 1)

    async def _play(self, recording: Recording) -> None:
        client = self._client
        await client.apply(declare(client.view, recording.audio))
        note = f"Playing {recording.name} ({recording.duration_s:.1f} s)."
        heard_before = client.view.heard
        while True:
            await client.until(lambda view: view.open)
            await client.until_documents()
            client.tell("note", note)
            losses, heard = client.view.losses, client.view.heard
            if await self._speak(recording, losses) and await self._is_heard_out(losses, heard):
                break
            note = f"Playing {recording.name} again from its beginning: the connection was lost before all was heard."
        self._judge(recording, heard_before)

    async def _speak(self, recording: Recording, losses: int) -> bool:
        """Send each chunk when it is due; return whether the connection lasted."""
        client = self._client
        began = trio.current_time()
        for chunk in recording.chunks:
            with trio.move_on_at(began + chunk.at_s):
                await client.until(lambda view: view.losses > losses)
                return False
            await client.send(chunk.data)
        await client.apply(end_speech(client.view))
        return True

    async def _is_heard_out(self, losses: int, heard_before: int) -> bool:
        """Wait for the reply, or until none is to be expected; False if what was said was lost with a connection."""
        client = self._client
        while True:
            if client.view.losses > losses:
                await client.until(lambda view: view.open)
                losses = client.view.losses
                if client.view.missed or client.view.heard <= heard_before:
                    return False
            is_answered = client.view.idle and client.view.heard > heard_before
            with trio.move_on_after(QUIET_S if is_answered else PATIENCE_S):
                await client.another_change()
                continue
            return True

    def _judge(self, recording: Recording, heard_before: int) -> None:
        view = self._client.view
        if view.heard <= heard_before:
            self._client.tell("error", f"Nothing was heard in {recording.name}.")
        elif view.heard > view.settled:
            self._client.tell("error", f"There was no reply to {recording.name}.")
        else:
            self._answered += 1
