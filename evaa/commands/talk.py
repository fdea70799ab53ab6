"""The terminal client: an interview from a shell, over the same WebSocket that a browser uses.

The user types (`_Typist`) or has recordings played (`talk_player`); either way the other task is the connection's
(`talk_client`).
"""

import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from evaa.commands.address import parse_url
from evaa.commands.play import RecordingRefused, read_recording
from evaa.commands.talk_client import Client
from evaa.commands.talk_effects import Print
from evaa.commands.talk_player import Player
from evaa.commands.talk_state import View
from evaa.commands.talk_terminal import Key, Terminal, open_terminal
from evaa.commands.talk_view import interrupt, say
from protocols.frontend import FrameRefused, parse_session_id

RETRY_DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0)

_HELP = """\
Type what you want to say and press Enter.
  /interrupt  stop the reply that is coming (so does Ctrl-C)
  /quit       leave; the session stays, and can be resumed (so does Ctrl-D)
  /help       this"""


def fresh_session_id() -> str:
    """Return a session id that is made like a MongoDB ObjectId: the time in seconds, then chance."""
    return f"{int(time.time()) & 0xFFFFFFFF:08x}{secrets.token_hex(8)}"


async def talk(
    url: str,
    session_id: str | None = None,
    *,
    audio: Sequence[str | Path] = (),
    token: str | None = None,
    terminal: Terminal | None = None,
    retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
    resume_command: str = "python run.py talk --session",
) -> int:
    """Hold an interview at `url` (`ws://host:port/ws`) and return the exit status.

    With `audio`, these files are played one after the other, in place of what the user types. Without a session id one
    is made, and told together with `resume_command`. A connection that is lost is opened again after each of
    `retry_delays_s` in turn; the count begins anew once a connection was of use. Without a terminal the process's own
    streams serve.

    Once the interview is complete, what the user says is about its documents: piped lines and recordings wait until
    they are written, for as long as something comes of them (`PATIENCE_S`).

    The status is 0 when the user leaves, and when piped lines have come to their end and were all answered; 1 when EVAA
    cannot be reached, refuses, or left a piped line unanswered. With `audio` it is 0 if what was said in one of the
    files at least was heard and answered, or the interview is complete.
    """
    if terminal is None:
        with open_terminal(takes_lines=not audio) as own:
            return await talk(
                url,
                session_id,
                audio=audio,
                token=token,
                terminal=own,
                retry_delays_s=retry_delays_s,
                resume_command=resume_command,
            )
    try:
        known = parse_session_id(session_id) if session_id is not None else None
        address = parse_url(url)
        recordings = [read_recording(Path(file)) for file in audio]
    except (FrameRefused, ValueError, RecordingRefused) as error:
        terminal.show(Print("error", str(error)))
        return 1
    view = View(known or fresh_session_id(), audio=recordings[0].audio if recordings else None)
    client = Client(address, view, token, terminal, retry_delays_s)
    resume = f"{resume_command} {view.session_id}"
    if known is None:
        terminal.show(Print("note", f"Session {view.session_id}. To come back to it: {resume}"))
    user = Player(client, terminal, recordings) if recordings else _Typist(client, terminal)
    status = await client.run(user.run)
    if client.view.was_bound and not client.view.is_refused:
        terminal.show(Print("note", f"To go on with this session: {resume}"))
    return status


class _Typist:
    """The user at the keys, or the lines of a pipe."""

    def __init__(self, client: Client, terminal: Terminal) -> None:
        self._client = client
        self._terminal = terminal
        self._asked_to_quit = False

    async def run(self) -> None:
        """Take lines until the run is over."""
        await self._client.until(lambda view: view.was_bound)
        while not self._client.is_over:
            if not self._terminal.interactive:
                await self._client.until(lambda view: view.idle)
                await self._client.until_documents()
            line = await self._terminal.read()
            if line is Key.INTERRUPT:
                await self._interrupt_or_quit()
            elif line is Key.END:
                self._client.finish(1 if self._client.view.failed and not self._terminal.interactive else 0)
            else:
                self._asked_to_quit = False
                await self._take(line.strip())

    async def _take(self, line: str) -> None:
        if not line.startswith("/"):
            if line:
                await self._client.apply(say(self._client.view, line, secrets.token_hex(8)))
        elif line == "/quit":
            self._client.finish(0)
        elif line == "/interrupt":
            await self._client.apply(interrupt(self._client.view))
        elif line == "/help":
            self._client.tell("note", _HELP)
        else:
            self._client.tell("error", f"{line.split(maxsplit=1)[0]} is no command here; /help lists them.")

    async def _interrupt_or_quit(self) -> None:
        if self._client.view.bound and self._client.view.busy:
            await self._client.apply(interrupt(self._client.view))
        elif self._asked_to_quit:
            self._client.finish(0)
        else:
            self._asked_to_quit = True
            self._client.tell("note", "To quit, press Ctrl-C again, or Ctrl-D.")
