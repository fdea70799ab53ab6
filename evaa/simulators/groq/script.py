"""What the Groq simulator can be told to do, and the bytes that it then sends. Pure: no trio, no I/O, no clock.

The shapes are those recorded from api.groq.com (February to July 2026): streams with one event for each token, usage
in the last chunk both on top and under `x_groq`, errors as `{"error": {...}}`.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec

from evaa.simulators.groq.interviewer import message_text

Hang = Literal["headers", "first_token", "mid"]
Cut = Literal["before_headers", "mid"]

DONE = b"data: [DONE]\n\n"
FINGERPRINT = "fp_simulated"
REQUESTS_PER_DAY = 1000
TOKENS_PER_MINUTE = 8000

_TOKEN = re.compile(r" ?\w+| ?[^\w\s]+|\n+|\s")
_THOUGHTS = (" need", " to", " ask", " about", " the", " stage", ",", " briefly", ".")
_ROLE = b'{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"x_groq":'
_CHARACTERS_PER_TOKEN = 4
_DELAYS = ("first_token_delay_s", "token_delay_s", "retry_after_s")
_COUNTS = ("reasoning_tokens", "after_tokens", "error_event_after_tokens")

_encode = msgspec.json.Encoder().encode


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the simulator treats one request. The defaults answer at once, with what the default brain says.

    What is said: `text`, cut into tokens; or `chunks`, sent exactly as they are, one event each; or neither, and the
    brain answers. `finish_reason` is what the last chunk gives as the reason; with `length`, structured output that the
    brain has filled in is cut in half.

    When (seconds): the status line of a stream leaves at once; the role chunk after `first_token_delay_s`; then
    `reasoning_tokens`, `token_delay_s` apart, which are sent unless the request hides them, and take their time even
    so; then the tokens, `token_delay_s` apart. `burst` sends all events at once when the first token is due. Answers
    that are not streamed take as long as a stream would; errors come after `first_token_delay_s`.

    What goes wrong, at most one of: `status` other than 200, with the recorded body for `error_code` (None: the
    status' usual one) and, if given, `retry_after_s` in a header; `hang`, which never goes on: before the headers,
    after them, or after `after_tokens` tokens; `cut`, which resets the connection: before the headers, or after
    `after_tokens` tokens; `error_event_after_tokens`, an `event: error` with `error_code` in mid-stream.

    With `stamped`, `<asked>` and `<sent>` in the tokens become the machine's monotonic clock, in nanoseconds: when the
    request had arrived, and when the token leaves. So latencies can be measured from outside, across processes.

    With `model`, only a request for that model takes it; with `containing`, only one with this text in a message.
    Raises ValueError for a combination that makes no sense.
    """

    text: str | None = None
    chunks: tuple[str, ...] | None = None
    finish_reason: Literal["stop", "length"] = "stop"
    model: str | None = None
    containing: str = ""
    first_token_delay_s: float = 0.0
    token_delay_s: float = 0.0
    reasoning_tokens: int = 0
    burst: bool = False
    stamped: bool = False
    status: int = 200
    error_code: str | None = None
    retry_after_s: float | None = None
    hang: Hang | None = None
    cut: Cut | None = None
    after_tokens: int = 1
    error_event_after_tokens: int | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense, so that a slip in a script is noticed where it is made."""
        for name in (*_DELAYS, *_COUNTS):
            value = getattr(self, name)
            if value is not None and not (value >= 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be a finite number and not negative")
        if self.status != 200 and not 400 <= self.status <= 599:
            raise ValueError("status must be 200, or an error from 400 to 599")
        if self.text is not None and self.chunks is not None:
            raise ValueError("give text or chunks, not both")
        faults = [self.status != 200, bool(self.hang), bool(self.cut), self.error_event_after_tokens is not None]
        if sum(faults) > 1:
            raise ValueError("give at most one of: an error status, hang, cut, error_event_after_tokens")
        if self.error_code is not None and not (faults[0] or faults[3]):
            raise ValueError("error_code needs an error status or error_event_after_tokens")

    def serves(self, request: "ChatRequest") -> bool:
        """Tell whether the request may take this behaviour."""
        is_contained = not self.containing or any(self.containing in message_text(it) for it in request.messages)
        return is_contained and self.model in (None, request.model)


class RecordedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it arrived: header names in lower case, the decoded body (None if it is no JSON), trio's time."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    at_s: float


class Counters(msgspec.Struct, kw_only=True):
    """What happened since the start or the last reset; `open_connections` is what is so now.

    `requests` leaves out the control paths. Each ends as one of: `completed`, `refused` (an error status),
    `failed_midway` (an error event), `cut` (reset on purpose), `abandoned` (the client left or did not read).
    The end is counted just before its bytes leave, so a client that has seen it finds it counted; one that does not
    take these last bytes counts as abandoned as well. `hung` counts those made to hang; they end as abandoned.
    """

    connections: int = 0
    open_connections: int = 0
    requests: int = 0
    completed: int = 0
    refused: int = 0
    failed_midway: int = 0
    cut: int = 0
    hung: int = 0
    abandoned: int = 0


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a request for a completion; the rest is Groq's business."""

    model: str
    messages: Annotated[list[Any], msgspec.Meta(min_length=1)]
    stream: bool | None = False
    include_reasoning: bool | None = True
    reasoning_format: str | None = None
    response_format: dict[str, Any] | None = None
    tools: list[Any] | None = None

    @property
    def shows_reasoning(self) -> bool:
        """Whether the model's reasoning is to be sent; it takes its time either way."""
        return self.include_reasoning is not False and self.reasoning_format != "hidden"


# --- errors -----------------------------------------------------------------------------------------------------


class ProviderError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One error as Groq words it. `message` may name `{model}` and `{retry}` (seconds)."""

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    failed_generation: str | None = None

    def body(self, *, in_stream: bool = False) -> bytes:
        """Return the JSON body; an error inside a stream also carries its status, since the response began as 200."""
        error: dict[str, Any] = {"message": self.message, "type": self.type}
        if self.code is not None:
            error["code"] = self.code
        if self.failed_generation is not None:
            error["failed_generation"] = self.failed_generation
        if in_stream:
            error["status_code"] = self.status
        return _encode({"error": error})


_TPM = "in organization `org_simulated` service tier `on_demand` on tokens per minute (TPM): Limit 8000,"
_JSON_FAILED = "Failed to generate JSON. Please adjust your prompt. See 'failed_generation' for more details."

# The first of a status is its usual one.
RECORDED_ERRORS = (
    ProviderError(
        status=400,
        code="tool_use_failed",
        message="Tool choice is required, but model did not call a tool",
        failed_generation="",
    ),
    ProviderError(status=400, code="json_validate_failed", message=_JSON_FAILED, failed_generation=""),
    ProviderError(
        status=400,
        code="context_length_exceeded",
        message="Please reduce the length of the messages or completion.",
    ),
    ProviderError(status=401, code="invalid_api_key", message="Invalid API Key"),
    ProviderError(
        status=404,
        code="model_not_found",
        message="The model `{model}` does not exist or you do not have access to it.",
    ),
    ProviderError(
        status=413,
        code="rate_limit_exceeded",
        type="tokens",
        message=f"Request too large for model `{{model}}` {_TPM} Requested 12268, please reduce your message size and "
        "try again.",
    ),
    ProviderError(
        status=429,
        code="rate_limit_exceeded",
        type="tokens",
        message=f"Rate limit reached for model `{{model}}` {_TPM} Used 7900, Requested 500. Please try again in "
        "{retry}s.",
    ),
    ProviderError(
        status=498,
        code="capacity_exceeded",
        type="internal_server_error",
        message="Flex tier capacity exceeded. Please try again later, or use another service tier.",
    ),
    ProviderError(status=500, type="internal_server_error", message="Internal Server Error"),
    ProviderError(
        status=503,
        type="internal_server_error",
        message="{model} is currently over capacity. Please try again and back off exponentially.",
    ),
)


def error_for(status: int, code: str | None, *, model: str = "", retry_after_s: float | None = None) -> ProviderError:
    """Return the recorded error for a status and code, filled in; a plain one for what was never recorded."""
    for error in RECORDED_ERRORS:
        if error.status == status and code in (None, error.code):
            retry = f"{3 if retry_after_s is None else retry_after_s:g}"
            return msgspec.structs.replace(error, message=error.message.format(model=model, retry=retry))
    kind = "internal_server_error" if status >= 500 else "invalid_request_error"
    return ProviderError(status=status, code=code, type=kind, message=f"Simulated error {status}")


def error_in_stream(code: str | None) -> ProviderError:
    """Return the error that ends a stream: by default the one that was recorded there, tool_use_failed."""
    known = (error for error in RECORDED_ERRORS if error.code == (code or "tool_use_failed"))
    return next(known, ProviderError(status=400, code=code, message="Simulated error in mid-stream"))


def rate_limit_headers(requests: int, prompt_tokens: int, retry_after_s: float | None) -> list[tuple[str, str]]:
    """Return the headers that Groq puts on every response; `requests` is how many were made so far.

    The limits are those of the free plan, and are only told, never enforced: a limit is scripted as a 429.
    """
    headers = [
        ("x-ratelimit-limit-requests", str(REQUESTS_PER_DAY)),
        ("x-ratelimit-limit-tokens", str(TOKENS_PER_MINUTE)),
        ("x-ratelimit-remaining-requests", str(max(REQUESTS_PER_DAY - requests, 0))),
        ("x-ratelimit-remaining-tokens", str(max(TOKENS_PER_MINUTE - prompt_tokens, 0))),
        ("x-ratelimit-reset-requests", "1m26.4s"),
        ("x-ratelimit-reset-tokens", f"{prompt_tokens * 60_000 / TOKENS_PER_MINUTE:g}ms"),
    ]
    if retry_after_s is not None:
        headers.append(("retry-after", f"{retry_after_s:g}"))
    return headers


# --- completions ------------------------------------------------------------------------------------------------


def tokenise(text: str) -> tuple[str, ...]:
    """Cut a text into token-like pieces (words with their leading space, punctuation, line ends); joined, the text."""
    return tuple(_TOKEN.findall(text))


def estimate_tokens(messages: Sequence[Any]) -> int:
    """Return roughly how many tokens the messages are worth as a prompt."""
    return sum(4 + len(message_text(message)) // _CHARACTERS_PER_TOKEN for message in messages)


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """One completion, ready to be written. `number` makes its ids; `created` is in seconds since the Unix epoch."""

    number: int
    created: int
    model: str
    prompt_tokens: int
    tokens: tuple[str, ...]
    show_reasoning: bool
    behaviour: Behaviour

    @property
    def first_token_s(self) -> float:
        """When the first token is due, in seconds after the request."""
        return self.behaviour.first_token_delay_s + self.behaviour.reasoning_tokens * self.behaviour.token_delay_s

    @property
    def last_token_s(self) -> float:
        """When the last token that is sent is due, in seconds after the request."""
        return self.first_token_s + max(len(self._tokens_sent()) - 1, 0) * self.behaviour.token_delay_s

    def events(self) -> Iterator[tuple[float, bytes]]:
        """Yield every event of the stream with its time, in seconds after the request.

        A behaviour that hangs, cuts or fails in mid-stream ends the events early; what comes then is the server's.
        """
        begin = b"data: " + self._prefix("chat.completion.chunk") + b',"choices":[{"index":0,"delta":'
        end = b',"logprobs":null,"finish_reason":null}]}\n\n'
        x_groq = _encode({"id": self._request_id, "seed": self.number})
        yield self.behaviour.first_token_delay_s, begin + _ROLE + x_groq + b"}\n\n"
        for due, thought in self._timed(self.behaviour.first_token_delay_s, self._thoughts_shown()):
            yield due, begin + b'{"reasoning":' + _encode(thought) + b',"channel":"analysis"}' + end
        for due, token in self._timed(self.first_token_s, self._tokens_sent()):
            yield due, begin + b'{"content":' + _encode(token) + b"}" + end
        for event in self._last_events(begin):
            yield self.last_token_s, event

    def body(self) -> bytes:
        """Return the JSON of the answer that is not streamed."""
        message = {"role": "assistant", "content": "".join(self.tokens)}
        if reasoning := "".join(self._thoughts_shown()):
            message["reasoning"] = reasoning
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.behaviour.finish_reason}
        tail = {"choices": [choice], "usage": self._usage(), "x_groq": {"id": self._request_id, "seed": self.number}}
        return self._prefix("chat.completion") + b"," + _encode(tail)[1:]

    def _timed(self, first_s: float, pieces: Iterable[str]) -> Iterator[tuple[float, str]]:
        # Multiplied, not summed up: the times stay exact, however long the answer is.
        return ((first_s + index * self.behaviour.token_delay_s, piece) for index, piece in enumerate(pieces))

    def _tokens_sent(self) -> tuple[str, ...]:
        behaviour = self.behaviour
        if behaviour.error_event_after_tokens is not None:
            return self.tokens[: behaviour.error_event_after_tokens]
        if behaviour.hang == "mid" or behaviour.cut == "mid":
            return self.tokens[: behaviour.after_tokens]
        return self.tokens

    def _last_events(self, begin: bytes) -> tuple[bytes, ...]:
        behaviour = self.behaviour
        if behaviour.hang is not None or behaviour.cut is not None:
            return ()
        if behaviour.error_event_after_tokens is not None:
            error = error_in_stream(behaviour.error_code)
            return (b"event: error\ndata: " + error.body(in_stream=True) + b"\n\n",)
        usage = _encode(self._usage())
        reason = b'{},"logprobs":null,"finish_reason":"' + behaviour.finish_reason.encode() + b'"}],"x_groq":'
        x_groq = b'{"id":"' + self._request_id.encode() + b'","usage":' + usage + b"}"
        return begin + reason + x_groq + b',"usage":' + usage + b"}\n\n", DONE

    def _prefix(self, kind: str) -> bytes:
        head = {"id": f"chatcmpl-{self.number:08d}", "object": kind, "created": self.created, "model": self.model}
        return _encode(head | {"system_fingerprint": FINGERPRINT})[:-1]

    @property
    def _request_id(self) -> str:
        return f"req_{self.number:08d}"

    def _thoughts_shown(self) -> Iterator[str]:
        count = self.behaviour.reasoning_tokens if self.show_reasoning else 0
        return (_THOUGHTS[index % len(_THOUGHTS)] for index in range(count))

    def _usage(self) -> dict[str, Any]:
        reasoning = self.behaviour.reasoning_tokens
        completion = len(self.tokens) + reasoning
        first, last = self.behaviour.first_token_delay_s, self.last_token_s
        usage: dict[str, Any] = {
            "queue_time": first,
            "prompt_tokens": self.prompt_tokens,
            "prompt_time": 0.0,
            "completion_tokens": completion,
            "completion_time": last - first,
            "total_tokens": self.prompt_tokens + completion,
            "total_time": last - first,
        }
        if reasoning:
            usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
        return usage


def stamp(event: bytes, asked_ns: int, sent_ns: int) -> bytes:
    """Put the times into an event that is about to leave. See `Behaviour`."""
    return event.replace(b"<asked>", b"%d" % asked_ns).replace(b"<sent>", b"%d" % sent_ns)
