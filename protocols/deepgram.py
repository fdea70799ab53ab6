"""A Deepgram connection: how it is asked for, and what its refusal or its end means. Sans-I/O.

Deepgram has two protocols: v1 (`/v1/listen`, the Nova models) and v2 (`/v2/listen`, the Flux models); the model
chooses. Neither takes a parameter of the other: v2 refuses what it does not know with a 400. What is wrong is therefore
found here, in words that say what is right. Their messages are in `protocols.deepgram_messages`.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Literal
from urllib.parse import quote, urlencode

import msgspec

from protocols.deepgram_messages import FluxError
from protocols.ports import SttLost, SttRefused
from protocols.speech import SttRequest

DEFAULT_URL = "wss://api.deepgram.com"

FLUX_LANGUAGES = frozenset({"en", "es", "fr", "de", "hi", "ru", "pt", "ja", "it", "nl"})
"""What `flux-general-multi` takes as a hint (docs/flux/language-prompting)."""

FLUX_SAMPLE_RATES = (8_000, 16_000, 24_000, 44_100, 48_000)

MAX_KEYTERMS = 100
MAX_KEYTERM_CHARS = 100
MAX_KEYTERM_TOKENS = 500
"""Over all terms; Deepgram counts tokens of a tokenizer it does not publish, so they are estimated here."""

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_MAX_QUOTED_CHARS = 200
_MAYBE_SECRET = re.compile(r"[\w-]{32,}")

ProtocolName = Literal["nova", "flux"]


def is_flux(model: str) -> bool:
    """Whether the model speaks v2."""
    return model.startswith("flux")


def takes_keyterms(model: str) -> bool:
    """Whether the model may be told words to expect; an older one refuses the connection for them."""
    return is_flux(model) or model.startswith("nova-3")


# --- asking for it ----------------------------------------------------------------------------------------------


class NovaOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How v1 should listen. Raises `ValueError` for what Deepgram would refuse.

    `endpointing_ms` of silence end an utterance; None: it is never ended so. So does a gap between words of
    `utterance_end_ms`, noise or not. `language` (BCP 47, or `multi`) is used where the client says none.
    """

    model: str = "nova-3"
    language: str | None = None
    endpointing_ms: int | None = 300
    utterance_end_ms: int = 1_500

    def __post_init__(self) -> None:
        if not self.model or is_flux(self.model):
            raise ValueError(f"model must be one of /v1/listen, such as nova-3, not {self.model!r}")
        if self.language is not None:
            _check(bool(_LANGUAGE.fullmatch(self.language)), "language", self.language, "a tag such as en-US, or multi")
        if self.endpointing_ms is not None:
            _check(self.endpointing_ms > 0, "endpointing_ms", self.endpointing_ms, "more than 0")
        _check(1_000 <= self.utterance_end_ms <= 5_000, "utterance_end_ms", self.utterance_end_ms, "1000 to 5000")


class FluxOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How v2 should listen. Raises `ValueError` for what Deepgram would refuse.

    A turn ends when its end is as probable as `eot_threshold`, or after `eot_timeout_ms` of silence.
    `EagerEndOfTurn` comes at `eager_eot_threshold`; None or 0: never. `language_hints` are used where the client names
    no language that Flux knows.
    """

    model: str = "flux-general-en"
    eot_threshold: float = 0.7
    eager_eot_threshold: float | None = None
    eot_timeout_ms: int = 5_000
    language_hints: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check(is_flux(self.model) and self.model != "flux", "model", self.model, "such as flux-general-en")
        _check(0.5 <= self.eot_threshold <= 1.0, "eot_threshold", self.eot_threshold, "0.5 to 1.0")
        _check(500 <= self.eot_timeout_ms <= 60_000, "eot_timeout_ms", self.eot_timeout_ms, "500 to 60000")
        if self.eager_eot_threshold:
            eager = self.eager_eot_threshold
            _check(0.3 <= eager <= 0.9, "eager_eot_threshold", eager, "0.3 to 0.9, or left out")
            allowed = f"at most eot_threshold ({self.eot_threshold})"
            _check(eager <= self.eot_threshold, "eager_eot_threshold", eager, allowed)


def listen_query(options: NovaOptions | FluxOptions, request: SttRequest) -> str:
    """Return path and query for the WebSocket handshake. Raises `ValueError` for raw audio of an unusable rate."""
    if isinstance(options, NovaOptions):
        return _query("/v1/listen", _nova_parameters(options, request), options.model, request)
    return _query("/v2/listen", _flux_parameters(options, request), options.model, request)


def fitting_keyterms(keyterms: Iterable[str]) -> tuple[str, ...]:
    """Return the terms that both protocols take, in their order: one bad term would cost the whole connection.

    Blank, repeated and overlong terms are left out; what goes beyond the limits on all terms is cut off.
    """
    speakable = (" ".join(term.encode(errors="replace").decode().split()) for term in keyterms)
    fitting: list[str] = []
    tokens = 0.0
    for term in dict.fromkeys(speakable):
        if not term or len(term) > MAX_KEYTERM_CHARS:
            continue
        tokens += max(len(term.split()) * 1.3, len(term.encode()) / 4)
        if tokens > MAX_KEYTERM_TOKENS or len(fitting) == MAX_KEYTERMS:
            break
        fitting.append(term)
    return tuple(fitting)


def _nova_parameters(options: NovaOptions, request: SttRequest) -> list[tuple[str, str]]:
    is_tag = request.language is not None and _LANGUAGE.fullmatch(request.language)
    language = request.language if is_tag else options.language
    return [
        ("model", options.model),
        *([("language", language)] if language else []),
        ("interim_results", "true"),
        ("smart_format", "true"),
        ("vad_events", "true"),
        ("endpointing", str(options.endpointing_ms or "false")),
        ("utterance_end_ms", str(options.utterance_end_ms)),
    ]


def _flux_parameters(options: FluxOptions, request: SttRequest) -> list[tuple[str, str]]:
    parameters = [
        ("model", options.model),
        ("eot_threshold", str(options.eot_threshold)),
        ("eot_timeout_ms", str(options.eot_timeout_ms)),
    ]
    if options.eager_eot_threshold:
        parameters.append(("eager_eot_threshold", str(options.eager_eot_threshold)))
    if options.model == "flux-general-multi":
        hints = _flux_languages([request.language or ""]) or _flux_languages(options.language_hints)
        parameters += [("language_hint", hint) for hint in hints]
    return parameters


def _flux_languages(tags: Iterable[str]) -> list[str]:
    """The base languages of the tags, as far as Flux knows them."""
    bases = (tag.partition("-")[0].lower() for tag in tags)
    return [base for base in dict.fromkeys(bases) if base in FLUX_LANGUAGES]


def _query(path: str, parameters: Sequence[tuple[str, str]], model: str, request: SttRequest) -> str:
    keyterms = fitting_keyterms(request.keyterms) if takes_keyterms(model) else ()
    every = [*parameters, *_encoding_parameters(model, request), *(("keyterm", term) for term in keyterms)]
    return f"{path}?{urlencode(every, quote_via=quote)}"


def _encoding_parameters(model: str, request: SttRequest) -> list[tuple[str, str]]:
    """Containers tell their encoding themselves, and are garbled if it is told."""
    if request.encoding in ("webm", "ogg"):
        return []
    rate = request.sample_rate
    if rate is None or rate <= 0:
        raise ValueError(f"raw {request.encoding} needs a sample rate in Hz, not {rate}")
    if is_flux(model) and rate not in FLUX_SAMPLE_RATES:
        raise ValueError(f"Flux takes raw audio of {', '.join(map(str, FLUX_SAMPLE_RATES))} Hz, not {rate}")
    return [("encoding", request.encoding), ("sample_rate", str(rate))]


def _check(is_right: bool, name: str, value: object, allowed: str) -> None:
    if not is_right:
        raise ValueError(f"{name} must be {allowed}, not {value}")


# --- its end ----------------------------------------------------------------------------------------------------


class _RefusalBody(msgspec.Struct):
    """v1 says `err_code` and `err_msg`, v2 `code` and `description`."""

    err_code: str | None = None
    err_msg: str | None = None
    code: str | None = None
    description: str | None = None


_REFUSAL_BODY = msgspec.json.Decoder(_RefusalBody)


def refusal(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes | None) -> SttLost | SttRefused:
    """Return what it means that the handshake was answered with `status` in place of 101.

    Time-outs, too many streams (429) and failures of the server may pass; `Retry-After` is honoured where it is in
    seconds. Everything else stays wrong: the key, the credit, the model, a parameter, the path.
    """
    fields = {name.decode("latin-1").lower(): value.decode("latin-1").strip() for name, value in headers}
    said = _refusal_text(body) or fields.get("dg-error", "")
    message = f"Deepgram refused the connection with {status}"
    message += f": {_quotable(said)}" if said else ""
    request_id = fields.get("dg-request-id")
    message += f" (request {request_id[:64]})" if request_id else ""
    if status in (408, 425, 429) or status >= 500:
        return SttLost(message, retry_after_s=_seconds(fields.get("retry-after", "")))
    return SttRefused(message)


def closure(protocol: ProtocolName, code: int | None, reason: str, *, asked: bool) -> SttLost | SttRefused | None:
    """Return what a close frame means; None for the end that was asked for (`CloseStream`).

    v2 gives no status (1005), neither when asked nor after a fatal `Error`, so only `asked` tells them apart. None as
    `code` means that no close frame came, as does 1006. Only audio that cannot be decoded (DATA-0000) is beyond
    another attempt.
    """
    if asked and code in (1000, 1005):
        return None
    said = f": {_quotable(reason)}" if reason else ""
    message = f"Deepgram ({protocol}) closed the connection with {code or 1006}{said}"
    if re.search(r"data-?0000", reason, re.IGNORECASE):
        return SttRefused(f"{message}; the audio is not what it was declared to be")
    return SttLost(message)


def flux_failure(error: FluxError) -> SttLost:
    """Return what a fatal `Error` of v2 means; the connection is over, and its close says nothing more."""
    ours = "; a fault of EVAA's" if error.code == "UNPARSABLE_CLIENT_MESSAGE" else ""
    return SttLost(f"Deepgram failed with {_quotable(error.code)}: {_quotable(error.description)}{ours}")


def _refusal_text(body: bytes | None) -> str:
    """What a refusal's body says; nothing of a body that is not Deepgram's, such as a proxy's page."""
    try:
        said = _REFUSAL_BODY.decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""
    code, text = said.err_code or said.code, said.err_msg or said.description
    return ": ".join(part for part in (code, text) if part)


def _quotable(text: str) -> str:
    """The provider's words, fit for one line of the log: short, and without anything that may be a key."""
    return _MAYBE_SECRET.sub("[...]", " ".join(text.split()))[:_MAX_QUOTED_CHARS]


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
