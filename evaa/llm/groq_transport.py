"""Streaming below the SDK: an HTTP transport that reads Groq's event stream itself.

The model asks for a whole completion, but the request says `"stream": true`. This transport reads the event stream
as it comes, hands the text to a listener at once, and gives the SDK one completion at the end. So the SDK and Pydantic
AI see one ordinary response instead of an object per token (the largest share of a streamed turn's CPU), and a
failure in mid-stream is to them what it should be: a failed request, with the provider's own status. Retries and
fallback therefore work in mid-stream as they do before it.
"""

import contextlib
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Annotated, Any, Protocol

import httpx
import msgspec

from evaa.asyncio_bridge import time_limit
from evaa.llm.sse import Event, EventParser, EventTooLarge


class StreamListener(Protocol):
    """Who hears a completion while it comes. Every method returns at once."""

    def requested(self) -> None:
        """The request is about to be sent. What came of an earlier request of the same run is void."""
        ...

    def text(self, piece: str) -> None:
        """The next piece of the completion's text."""
        ...

    def received(self) -> None:
        """The stream is complete."""
        ...


listener: ContextVar[StreamListener | None] = ContextVar("listener", default=None)
"""Who listens to the requests that are made in this context; None: nobody, requests pass through untouched."""


_END_OF_TIME = 253_402_300_799
"""The last second that Python's `datetime` has."""


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    finish_reason: str | None = None


class _GroqExtra(msgspec.Struct):
    usage: dict[str, Any] | None = None


class _Chunk(msgspec.Struct):
    id: str = ""
    created: Annotated[int, msgspec.Meta(ge=0, le=_END_OF_TIME)] = 0
    model: str = ""
    choices: list[_Choice] = []
    x_groq: _GroqExtra | None = None
    error: dict[str, Any] | None = None


_CHUNK = msgspec.json.Decoder(_Chunk)
_STREAM_TYPE = "text/event-stream"

END_S = 0.25
"""How long the response may still take to end after `[DONE]`."""


class StreamingTransport(httpx.AsyncBaseTransport):
    """Turns event streams into whole completions, telling the context's `listener` on the way.

    Raises `httpx.RemoteProtocolError` for a stream that ends before it is complete or makes no sense, and for a
    success that is no stream at all. Cancellation closes the response, and with it the connection.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; if somebody listens and it is answered, read the event stream to its end."""
        hearer = listener.get()
        if hearer is None:
            return await self._inner.handle_async_request(request)
        hearer.requested()
        response = await self._inner.handle_async_request(request)
        if response.status_code != 200:
            return response
        try:
            if not response.headers.get("content-type", "").startswith(_STREAM_TYPE):
                raise httpx.RemoteProtocolError("the answer is no event stream", request=request)
            return await _read_stream(request, response, hearer)
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


async def _read_stream(request: httpx.Request, response: httpx.Response, hearer: StreamListener) -> httpx.Response:
    parser, completion = EventParser(), _Completion(request)
    stream = response.aiter_bytes()
    async for data in stream:
        try:
            events = parser.feed(data)
        except EventTooLarge as error:
            raise httpx.RemoteProtocolError(str(error), request=request) from None
        for event in events:
            if event.data == b"[DONE]":
                _tell_new_text(completion, hearer)
                hearer.received()
                await _read_to_end(stream)
                return completion.response()
            failure = completion.add(event)
            if failure is not None:
                return failure
        _tell_new_text(completion, hearer)
    raise httpx.RemoteProtocolError("the stream ended before it was complete", request=request)


async def _read_to_end(stream: AsyncIterator[bytes]) -> None:
    """Wait for the response's own end, a few bytes behind `[DONE]`: without it the connection could not be kept."""
    with contextlib.suppress(httpx.HTTPError, TimeoutError):
        async with time_limit(END_S):
            async for _ in stream:
                pass


def _tell_new_text(completion: "_Completion", hearer: StreamListener) -> None:
    if piece := completion.take_new_text():
        hearer.text(piece)


class _Completion:
    """A completion that grows chunk by chunk."""

    def __init__(self, request: httpx.Request) -> None:
        self._request = request
        self._chunk = _Chunk()
        self._text: list[str] = []
        self._told = 0
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None

    def add(self, event: Event) -> httpx.Response | None:
        """Take in one event; return the response that an error event stands for."""
        try:
            chunk = _CHUNK.decode(event.data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise httpx.RemoteProtocolError(f"a chunk makes no sense: {error}", request=self._request) from None
        if chunk.error is not None or event.name == "error":
            return self._failure(chunk.error or {})
        if chunk.id:
            self._chunk = chunk
        for choice in chunk.choices:
            if choice.delta.content:
                self._text.append(choice.delta.content)
            self._finish_reason = choice.finish_reason or self._finish_reason
        if chunk.x_groq is not None and chunk.x_groq.usage is not None:
            self._usage = chunk.x_groq.usage
        return None

    def take_new_text(self) -> str:
        """The text that has come since the last call; what comes in one read is told in one piece."""
        new = "".join(self._text[self._told :])
        self._told = len(self._text)
        return new

    def response(self) -> httpx.Response:
        """The whole completion, as Groq would have sent it without streaming."""
        message = {"role": "assistant", "content": "".join(self._text)}
        body: dict[str, Any] = {
            "id": self._chunk.id,
            "object": "chat.completion",
            "created": self._chunk.created,
            "model": self._chunk.model,
            "choices": [{"index": 0, "message": message, "finish_reason": self._finish_reason, "logprobs": None}],
        }
        if self._usage is not None:
            body["usage"] = self._usage
        return self._as_response(200, body)

    def _failure(self, error: dict[str, Any]) -> httpx.Response:
        """An error in mid-stream, as the same error would have come before the stream began."""
        status = error.get("status_code")
        return self._as_response(status if isinstance(status, int) and 400 <= status < 600 else 500, {"error": error})

    def _as_response(self, status: int, body: dict[str, Any]) -> httpx.Response:
        headers = {"content-type": "application/json"}
        return httpx.Response(status, headers=headers, content=msgspec.json.encode(body), request=self._request)
