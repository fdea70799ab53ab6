"""What the tests of the Groq interviewer share: a turn, a sink that records, and a scripted provider in memory."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import msgspec
import trio
import trio.testing

from protocols.ports import TurnBrief
from protocols.records import Stage

MODEL = "openai/gpt-oss-20b"
STAGES = tuple(
    Stage(
        stage_id=f"{number:024x}",
        name=name,
        description=f"About the {name.lower()}.",
        goal=f"the {name.lower()} is clear",
        order=number,
        opening=f"What is the {name.lower()}?",
    )
    for number, name in enumerate(("Goal", "Trigger"), start=1)
)


def brief(words: str = "We type invoices.", *, turn: int = 1, history: Sequence[str] = ()) -> TurnBrief:
    return TurnBrief(
        session_id="5" * 24,
        turn=turn,
        stage=STAGES[0],
        position=1,
        total_stages=len(STAGES),
        follow_ups_used=0,
        follow_ups_left=3,
        next_stage=STAGES[1],
        established={},
        words=words,
        history=tuple(history),
    )


class RecordingSink:
    """Keeps what it was told, and when on trio's clock since it was made."""

    def __init__(self) -> None:
        self.events: list[tuple[float, str, str]] = []
        self._begun = trio.current_time()

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(kind, text) for _, kind, text in self.events]

    @property
    def shown(self) -> str:
        """What a user sees in the end."""
        kinds = [kind for _, kind, _ in self.events]
        begin = len(kinds) - kinds[::-1].index("restarted") if "restarted" in kinds else 0
        return "".join(text for _, kind, text in self.events[begin:] if kind == "text")

    def requested(self) -> None:
        self._note("requested")

    def text(self, piece: str) -> None:
        if piece:  # an empty one is a sign of life, for those who wait
            self._note("text", piece)

    def received(self) -> None:
        self._note("received")

    def restarted(self, reason: str) -> None:
        self._note("restarted", reason)

    def _note(self, kind: str, text: str = "") -> None:
        self.events.append((trio.current_time() - self._begun, kind, text))


# --- the bytes of a stream --------------------------------------------------------------------------------------

DONE = b"data: [DONE]\n\n"
USAGE = {
    "prompt_tokens": 900,
    "completion_tokens": 40,
    "total_tokens": 940,
    "prompt_tokens_details": {"cached_tokens": 512},
}


def event(chunk: Any, *, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + msgspec.json.encode(chunk) + b"\n\n"


def chunk_of(content: str | None = None, **choice: Any) -> dict[str, Any]:
    delta = {} if content is None else {"content": content}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1771434740,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": None} | choice],
    }


def text_event(content: str) -> bytes:
    return event(chunk_of(content))


def last_event(finish_reason: str | None = "stop") -> bytes:
    return event(chunk_of(finish_reason=finish_reason) | {"x_groq": {"id": "req_1", "usage": USAGE}, "usage": USAGE})


def stream_of(*contents: str, finish_reason: str = "stop") -> bytes:
    """A whole stream in one piece."""
    return b"".join([*map(text_event, contents), last_event(finish_reason), DONE])


# --- a provider in memory ---------------------------------------------------------------------------------------


Item = bytes | float | Exception


class Body(httpx.AsyncByteStream):
    """A response's body: bytes to send, seconds to wait and errors to raise, in order. Remembers how it ended."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.closed_at: float | None = None
        self.is_read_to_its_end = False
        self._items = items

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for item in self._items:
            if isinstance(item, bytes):
                yield item
            elif isinstance(item, Exception):
                raise item
            else:
                await virtual_wait(item)
        self.is_read_to_its_end = True

    async def aclose(self) -> None:
        if self.closed_at is None:
            self.closed_at = trio.current_time()


async def virtual_wait(seconds: float) -> None:
    """Wait on the mock clock; a test without one should not wait at all."""
    assert isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock)
    await asyncio.sleep(seconds)


class ScriptedProvider(httpx.AsyncBaseTransport):
    """Answers each request for a completion with the next scripted response; every other request with no models."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self._responses: deque[tuple[float, httpx.Response]] = deque()

    def stream(self, *items: Item, headers_after_s: float = 0.0) -> Body:
        """Script an event stream."""
        body = Body(items)
        headers = {"content-type": "text/event-stream; charset=utf-8"}
        self._responses.append((headers_after_s, httpx.Response(200, headers=headers, stream=body)))
        return body

    def answer(self, response: httpx.Response) -> None:
        """Script any other response."""
        self._responses.append((0.0, response))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/chat/completions"):
            return httpx.Response(200, json={"object": "list", "data": []})
        self.requests.append(msgspec.json.decode(await request.aread()))
        headers_after_s, response = self._responses.popleft()
        if headers_after_s:
            await virtual_wait(headers_after_s)
        return response
