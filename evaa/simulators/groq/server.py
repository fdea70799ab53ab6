"""A simulator of Groq's API on loopback: real HTTP/1.1, scripted from Python or over HTTP.

One task serves one connection. It reads a request (h11), takes the first `Behaviour` of the script that fits the
request's model, or else the default one, and does what it says, while a second task watches for the client's leaving,
which ends whatever is going on at once, hangs included. Requests, scripts, bodies and what clients send ahead of time
are bounded, and each send has a deadline. Time is trio's, so on a mock clock the delays are exact.

Besides Groq's own paths there are, without authorisation and with JSON bodies: `POST /_simulator/script` (a list of
behaviours, appended), `POST /_simulator/default` (one behaviour), `GET /_simulator/requests` (`requests`, `counters`
and `pending`) and `POST /_simulator/reset`.
"""

import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import h11
import msgspec
import trio

from evaa.simulators.groq import documents, interviewer
from evaa.simulators.groq.http import EVENT_STREAM, JSON_TYPE, Connection, Headers
from evaa.simulators.groq.script import (
    Behaviour,
    ChatRequest,
    Completion,
    Counters,
    ProviderError,
    RecordedRequest,
    error_for,
    error_in_stream,
    estimate_tokens,
    rate_limit_headers,
    stamp,
    tokenise,
)
from evaa.simulators.groq.structured import JsonSchema, wanted_schema
from evaa.simulators.scripted_server import ScriptedServer

MODELS = ("openai/gpt-oss-20b", "openai/gpt-oss-120b", "qwen/qwen3.8-27b")


class GroqSimulator(ScriptedServer[Behaviour]):
    """The simulated provider: its script, what it was asked, and its server.

    `models` are those that exist; any other is answered 404 and takes nothing from the script, nor does a request whose
    `response_format` Groq refuses. `brain` answers where a behaviour fixes no text; forms (`json_schema`) are filled in
    by `documents`. `requests` holds the newest `keep_requests` requests (without the control paths).
    `default` is what happens when nothing in the script fits; it may be replaced at any time, and if it is tied to a
    model the other models answer plainly.
    """

    def __init__(
        self,
        *,
        default: Behaviour | None = None,
        models: Sequence[str] = MODELS,
        brain: Callable[[Sequence[Any]], str] = interviewer.answer,
        keep_requests: int = 1000,
    ) -> None:
        super().__init__(default or Behaviour())
        self.models = tuple(models)
        self.requests: deque[RecordedRequest] = deque(maxlen=keep_requests)
        self.counters = Counters()
        self._brain = brain
        self._routes: dict[tuple[str, str], Callable[[Connection, RecordedRequest], Awaitable[None]]] = {
            ("POST", "/openai/v1/chat/completions"): self._chat,
            ("GET", "/openai/v1/models"): self._list_models,
            ("POST", "/_simulator/script"): self._extend_script,
            ("POST", "/_simulator/default"): self._replace_default,
            ("GET", "/_simulator/requests"): self._tell_requests,
            ("POST", "/_simulator/reset"): self._forget,
        }

    def __repr__(self) -> str:
        return f"<GroqSimulator pending={self.pending} {self.counters}>"

    def reset(self) -> None:
        """Forget script, requests and counts, and restore the default that it was made with."""
        self.forget_script()
        self.requests.clear()
        self.counters = Counters(open_connections=self.counters.open_connections)

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serve one connection until either side ends it, then close it. What the client does wrong raises nothing."""
        connection = Connection(stream)
        self.counters.connections += 1
        self.counters.open_connections += 1
        try:
            await self._converse(connection)
        except h11.RemoteProtocolError as error:
            await connection.refuse_garbage(error)
        except (trio.BrokenResourceError, trio.TooSlowError):
            pass  # Between two requests: the client left or fell silent, and nothing is owed to it.
        finally:
            self.counters.open_connections -= 1
            await trio.aclose_forcefully(stream)

    async def _converse(self, connection: Connection) -> None:
        while (request := await connection.next_request()) is not None:
            if not await self._serve_request(connection, request) or not connection.begin_next():
                return

    async def _serve_request(self, connection: Connection, request: RecordedRequest) -> bool:
        """Answer one request; False if the client left, or stopped reading, before the answer was complete."""
        answered = False
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.watch, nursery.cancel_scope)
                await self._route(connection, request)
                answered = True
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.TooSlowError):
            pass
        if not answered:
            self.counters.abandoned += 1
        return answered

    async def _route(self, connection: Connection, request: RecordedRequest) -> None:
        if not request.path.startswith("/_simulator/"):
            self.requests.append(request)
            self.counters.requests += 1
        route = self._routes.get((request.method, request.path))
        if request.path.startswith("/openai/") and not request.headers.get("authorization", "").startswith("Bearer "):
            await self._refuse(connection, error_for(401, None))
        elif route is None:
            message = f"Unknown request URL: {request.method} {request.path}. Please check the URL for typos."
            await self._refuse(connection, ProviderError(status=404, code="unknown_url", message=message))
        else:
            await route(connection, request)

    # --- Groq's paths -------------------------------------------------------------------------------------------

    async def _chat(self, connection: Connection, request: RecordedRequest) -> None:
        try:
            chat = msgspec.convert(request.body, ChatRequest)
        except msgspec.ValidationError as error:
            await self._refuse(connection, ProviderError(status=400, message=str(error)))
            return
        if chat.model not in self.models:
            await self._refuse(connection, error_for(404, None, model=chat.model))
            return
        schema = wanted_schema(chat)
        if isinstance(schema, ProviderError):
            await self._refuse(connection, schema)
            return
        behaviour = self._take(chat)
        if behaviour.hang == "headers":
            await self._hang()
        if behaviour.status != 200 or behaviour.cut == "before_headers":
            await trio.sleep_until(request.at_s + behaviour.first_token_delay_s)
            await self._fail(connection, behaviour, chat.model)
            return
        answer = self._stream if chat.stream else self._answer_whole
        await answer(connection, self._complete(chat, behaviour, schema), request.at_s)

    def _take(self, chat: ChatRequest) -> Behaviour:
        for index, behaviour in enumerate(self._script):
            if behaviour.serves(chat):
                del self._script[index]
                return behaviour
        return self.default if self.default.serves(chat) else Behaviour()

    def _complete(self, chat: ChatRequest, behaviour: Behaviour, schema: JsonSchema | None) -> Completion:
        tokens = behaviour.chunks
        if tokens is None:
            tokens = tokenise(self._think(chat, behaviour, schema) if behaviour.text is None else behaviour.text)
        return Completion(
            number=self.counters.requests,
            created=int(time.time()),
            model=chat.model,
            prompt_tokens=estimate_tokens(chat.messages),
            tokens=tokens,
            show_reasoning=chat.shows_reasoning,
            behaviour=behaviour,
        )

    def _think(self, chat: ChatRequest, behaviour: Behaviour, schema: JsonSchema | None) -> str:
        if schema is None:
            return self._brain(chat.messages)
        text = documents.fill_in(schema.schema, chat.messages)
        return text[: len(text) // 2] if behaviour.finish_reason == "length" else text

    async def _stream(self, connection: Connection, completion: Completion, asked_s: float) -> None:
        behaviour, stamped, asked_ns = completion.behaviour, completion.behaviour.stamped, time.monotonic_ns()
        await connection.start(200, self._headers(completion.prompt_tokens) + EVENT_STREAM)
        if behaviour.hang == "first_token":
            await self._hang()
        if behaviour.burst:
            await trio.sleep_until(asked_s + completion.first_token_s)
            whole = b"".join(event for _, event in completion.events())
            await connection.send_chunk(stamp(whole, asked_ns, time.monotonic_ns()) if stamped else whole)
        else:
            for due_s, event in completion.events():
                await trio.sleep_until(asked_s + due_s)
                await connection.send_chunk(stamp(event, asked_ns, time.monotonic_ns()) if stamped else event)
        if behaviour.hang or behaviour.cut:
            await self._stop_midway(connection, behaviour)
            return
        if behaviour.error_event_after_tokens is None:
            self.counters.completed += 1
        else:
            self.counters.failed_midway += 1
        await connection.end()

    async def _answer_whole(self, connection: Connection, completion: Completion, asked_s: float) -> None:
        behaviour, body = completion.behaviour, completion.body()
        headers = self._headers(completion.prompt_tokens)
        if behaviour.hang == "first_token":
            await connection.start(200, [*headers, JSON_TYPE, ("content-length", str(len(body)))])
            await self._hang()
        await trio.sleep_until(asked_s + completion.last_token_s)
        if behaviour.error_event_after_tokens is not None:
            await self._refuse(connection, error_in_stream(behaviour.error_code))
        elif behaviour.hang or behaviour.cut:
            await connection.start(200, [*headers, JSON_TYPE, ("content-length", str(len(body)))])
            await connection.send(body[: len(body) // 2])
            await self._stop_midway(connection, behaviour)
        else:
            self.counters.completed += 1
            await connection.respond(200, headers, body)

    async def _hang(self) -> None:
        self.counters.hung += 1
        await trio.sleep_forever()

    async def _stop_midway(self, connection: Connection, behaviour: Behaviour) -> None:
        if behaviour.hang:
            await self._hang()
        self.counters.cut += 1
        await connection.cut()

    async def _fail(self, connection: Connection, behaviour: Behaviour, model: str) -> None:
        if behaviour.cut:
            await self._stop_midway(connection, behaviour)
            return
        retry_after_s = behaviour.retry_after_s
        error = error_for(behaviour.status, behaviour.error_code, model=model, retry_after_s=retry_after_s)
        await self._refuse(connection, error, retry_after_s)

    async def _refuse(self, connection: Connection, error: ProviderError, retry_after_s: float | None = None) -> None:
        self.counters.refused += 1
        await connection.respond(error.status, self._headers(0, retry_after_s), error.body())

    def _headers(self, prompt_tokens: int, retry_after_s: float | None = None) -> Headers:
        return rate_limit_headers(self.counters.requests, prompt_tokens, retry_after_s)

    async def _list_models(self, connection: Connection, request: RecordedRequest) -> None:
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "simulator"} for name in self.models]
        body = msgspec.json.encode({"object": "list", "data": models})
        self.counters.completed += 1
        await connection.respond(200, self._headers(0), body)

    # --- the control paths --------------------------------------------------------------------------------------

    async def _extend_script(self, connection: Connection, request: RecordedRequest) -> None:
        try:
            self.script(*msgspec.convert(request.body, tuple[Behaviour, ...]))
        except ValueError as error:
            await self._refuse_control(connection, f"The body must be a JSON list of behaviours: {error}")
        else:
            await self._tell(connection, {"pending": self.pending})

    async def _replace_default(self, connection: Connection, request: RecordedRequest) -> None:
        try:
            self.default = msgspec.convert(request.body, Behaviour)
        except ValueError as error:
            await self._refuse_control(connection, f"The body must be one behaviour as a JSON object: {error}")
        else:
            await self._tell(connection, {"pending": self.pending})

    async def _tell_requests(self, connection: Connection, request: RecordedRequest) -> None:
        requests = [_without_key(recorded) for recorded in self.requests]
        await self._tell(connection, {"requests": requests, "counters": self.counters, "pending": self.pending})

    async def _forget(self, connection: Connection, request: RecordedRequest) -> None:
        self.reset()
        await self._tell(connection, {"pending": self.pending})

    async def _tell(self, connection: Connection, content: dict[str, Any]) -> None:
        await connection.respond(200, [], msgspec.json.encode(content))

    async def _refuse_control(self, connection: Connection, message: str) -> None:
        await connection.respond(400, [], ProviderError(status=400, code="bad_script", message=message).body())


def _without_key(request: RecordedRequest) -> RecordedRequest:
    if "authorization" not in request.headers:
        return request
    return msgspec.structs.replace(request, headers=request.headers | {"authorization": "Bearer ***"})
