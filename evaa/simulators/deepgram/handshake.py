"""The Deepgram simulator's opening handshake: which requests are let in. Pure.

The rules are those of Deepgram's reference for `/v1/listen` and `/v2/listen` (2026), as far as they are known: v1
ignores parameters that it does not know, v2 refuses them.
"""

import re
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import msgspec

from evaa.simulators.deepgram.script import Refusal, refusal_for

Params = Mapping[str, Sequence[str]]
Version = Literal["v1", "v2"]

FLUX_MODELS = ("flux-general-en", "flux-general-multi")
MAX_KEYTERM_TOKENS = 500
MAX_FLUX_KEYTERMS = 100
MAX_FLUX_KEYTERM_CHARS = 100
FLUX_LANGUAGES = ("en", "es", "fr", "de", "hi", "ru", "pt", "ja", "it", "nl")

_VERSIONS: dict[str, Version] = {"/v1/listen": "v1", "/v2/listen": "v2"}
_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")
_V1_MODEL = re.compile(r"(nova-3|nova-2|nova|enhanced|base|whisper)(-[a-z]+)*")
_V1_ENCODINGS = frozenset(
    ("linear16", "linear32", "flac", "alaw", "mulaw", "amr-nb", "amr-wb", "opus", "ogg-opus", "speex", "g729")
)
_V2_ENCODINGS = frozenset(("linear16", "linear32", "mulaw", "alaw", "opus", "ogg-opus"))
_V1_SWITCHES = (
    *("interim_results", "vad_events", "smart_format", "punctuate", "numerals", "no_delay", "multichannel", "diarize"),
    *("dictation", "profanity_filter", "filler_words", "detect_entities", "mip_opt_out"),
)
_V2_SWITCHES = ("numerals", "profanity_filter", "mip_opt_out")
_V2_PARAMS = frozenset(
    (
        *("model", "encoding", "sample_rate", "eot_threshold", "eager_eot_threshold", "eot_timeout_ms", "keyterm"),
        *("language_hint", "redact", "tag", *_V2_SWITCHES),
    )
)
_V2_RATES = ("8000", "16000", "24000", "44100", "48000")


class Opening(msgspec.Struct, frozen=True):
    """A handshake that is let in: which API, and its parameters."""

    version: Version
    params: Params


def decode_target(target: str) -> tuple[str, Params]:
    """Return a request target's path and its query's parameters."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return target, {}
    return parts.path, parse_qs(parts.query, keep_blank_values=True)


def check_handshake(method: str, target: str, headers: Mapping[str, str], api_key: str | None) -> Opening | Refusal:
    """Let a request in or refuse it. `headers` have names in lower case; `api_key` None lets any key in."""
    path, params = decode_target(target)
    version = _VERSIONS.get(path)
    if version is None:
        return Refusal(404, "NOT_FOUND", "Not Found")
    if method != "GET":
        return Refusal(405, "METHOD_NOT_ALLOWED", "Method Not Allowed")
    if not _may_enter(headers.get("authorization", ""), api_key):
        return refusal_for(401, None)
    if not _wants_websocket(headers):
        return Refusal(400, "Bad Request", "Bad Request: this path speaks WebSocket only.")
    refusal = (_refuse_v1 if version == "v1" else _refuse_v2)(params)
    return refusal or Opening(version, params)


def keyterm_tokens(keyterms: Sequence[str]) -> int:
    """Return about how many tokens the terms are worth."""
    return sum(max(1, len(word) // 4) for term in keyterms for word in term.split())


def threshold_error(eot: float, eager: float | None, timeout_ms: float) -> str | None:
    """Tell what is wrong with v2's thresholds, if anything is."""
    if not 0.5 <= eot <= 1.0:
        return "eot_threshold must be between 0.5 and 1.0"
    if eager is not None and not 0.3 <= eager <= 0.9:
        return "eager_eot_threshold must be between 0.3 and 0.9"
    if eager is not None and eager > eot:
        return "eager_eot_threshold must be less than or equal to eot_threshold"
    if not 500 <= timeout_ms <= 60_000:
        return "eot_timeout_ms must be between 500 and 60000"
    return None


def last(params: Params, name: str, default: str = "") -> str:
    """Return a parameter's last value."""
    return params[name][-1] if name in params else default


def _may_enter(authorization: str, api_key: str | None) -> bool:
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() == "token":
        return bool(secret) and api_key in (None, secret)
    return scheme.lower() == "bearer" and _JWT.fullmatch(secret) is not None  # a key is no JWT: 401


def _wants_websocket(headers: Mapping[str, str]) -> bool:
    return (
        headers.get("upgrade", "").lower() == "websocket"
        and "upgrade" in headers.get("connection", "").lower()
        and headers.get("sec-websocket-version") == "13"
        and "sec-websocket-key" in headers
    )


def _bad(message: str) -> Refusal:
    return Refusal(400, "INVALID_QUERY_PARAMETER", message)


def _bad_v2(message: str) -> Refusal:
    return Refusal(400, "INVALID_PARAMETER", message, is_new=True)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# --- v1 ---------------------------------------------------------------------------------------------------------


def _refuse_v1(params: Params) -> Refusal | None:
    checks = (_v1_model, _v1_switches, _v1_end_of_speech, _v1_keyterms, _v1_audio)
    return next((refusal for check in checks if (refusal := check(params))), None)


def _v1_model(params: Params) -> Refusal | None:
    model = last(params, "model", "base")
    if model.startswith("flux"):
        message = (
            "Flux models are not supported on the `/v1/listen` endpoint. Please use the `/v2/listen` endpoint for "
            "conversational speech-to-text requests."
        )
        return Refusal(400, "V2_MODEL_ON_V1_LISTEN_ENDPOINT", message)
    language = last(params, "language", "en")
    if not _V1_MODEL.fullmatch(model) or not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]+)*|multi", language):
        return refusal_for(400, None)
    if "language_hint" in params and not (model.startswith("nova-3") and language == "multi"):
        return _bad("language_hint needs model=nova-3 and language=multi.")
    return None


def _v1_switches(params: Params) -> Refusal | None:
    for name in _V1_SWITCHES:
        if last(params, name, "true") not in ("true", "false"):
            return _bad(f"{name} must be true or false.")
    if "diarize" in params and "diarize_model" in params:
        return _bad("diarize and diarize_model must not be combined.")
    return None


def _v1_end_of_speech(params: Params) -> Refusal | None:
    endpointing = last(params, "endpointing", "10")
    if endpointing not in ("true", "false") and not endpointing.isdecimal():
        return _bad("endpointing must be a number of milliseconds, or false.")
    if "utterance_end_ms" in params:
        gap_ms = last(params, "utterance_end_ms")
        if not gap_ms.isdecimal() or not 1000 <= int(gap_ms) <= 5000:
            return _bad("utterance_end_ms must be between 1000 and 5000.")
        if last(params, "interim_results") != "true":
            return _bad("utterance_end_ms needs interim_results=true.")
    return None


def _v1_keyterms(params: Params) -> Refusal | None:
    is_nova_3 = last(params, "model").startswith("nova-3")
    if is_nova_3 and "keywords" in params:
        return _bad("Keywords are not supported for Nova-3. Please use `keyterm` instead.")
    if not is_nova_3 and "keyterm" in params:
        return _bad("Keyterms are only supported for Nova-3.")
    if keyterm_tokens(params.get("keyterm", ())) > MAX_KEYTERM_TOKENS:
        return _bad("Keyterm limit exceeded. The maximum number of tokens across all keyterms is 500.")
    return None


def _v1_audio(params: Params) -> Refusal | None:
    return _refuse_audio(params, _V1_ENCODINGS, lambda rate: rate.isdecimal() and int(rate) > 0, _bad)


def _refuse_audio(
    params: Params, encodings: Set[str], is_rate: Callable[[str], bool], bad: Callable[[str], Refusal]
) -> Refusal | None:
    if "encoding" in params:
        encoding = last(params, "encoding")
        if encoding not in encodings:
            return bad(f"unknown encoding {encoding}")
        if encoding != "ogg-opus" and "sample_rate" not in params:
            return bad(f"encoding {encoding} needs a sample_rate")
    if "sample_rate" in params and not is_rate(last(params, "sample_rate")):
        return bad("unsupported sample_rate")
    return None


# --- v2 ---------------------------------------------------------------------------------------------------------


def _refuse_v2(params: Params) -> Refusal | None:
    if unknown := sorted(set(params) - _V2_PARAMS):
        return _bad_v2(f"unknown query parameter {unknown[0]}")
    if last(params, "model") not in FLUX_MODELS:
        return refusal_for(400, None)
    checks = (_v2_thresholds, _v2_words, _v2_audio)
    return next((refusal for check in checks if (refusal := check(params))), None)


def _v2_thresholds(params: Params) -> Refusal | None:
    eot = _number(last(params, "eot_threshold", "0.7"))
    eager = _number(last(params, "eager_eot_threshold")) if "eager_eot_threshold" in params else None
    timeout_ms = last(params, "eot_timeout_ms", "5000")
    if eot is None or not timeout_ms.isdecimal() or (eager is None and "eager_eot_threshold" in params):
        return _bad_v2("thresholds must be numbers")
    error = threshold_error(eot, eager, int(timeout_ms))
    return _bad_v2(error) if error else None


def _v2_words(params: Params) -> Refusal | None:
    keyterms = params.get("keyterm", ())
    if len(keyterms) > MAX_FLUX_KEYTERMS or keyterm_tokens(keyterms) > MAX_KEYTERM_TOKENS:
        return _bad_v2("too many keyterms")
    if any(not term.strip() or len(term) > MAX_FLUX_KEYTERM_CHARS for term in keyterms):
        return _bad_v2("keyterms must not be blank or longer than 100 characters")
    hints = params.get("language_hint", ())
    if hints and last(params, "model") != "flux-general-multi":
        return _bad_v2("language_hint is not supported for model flux-general-en")
    if any(hint.partition("-")[0] not in FLUX_LANGUAGES for hint in hints):
        return _bad_v2("unsupported language_hint")
    for name in _V2_SWITCHES:
        if last(params, name, "true") not in ("true", "false"):
            return _bad_v2(f"{name} must be true or false")
    return None


def _v2_audio(params: Params) -> Refusal | None:
    return _refuse_audio(params, _V2_ENCODINGS, lambda rate: rate in _V2_RATES, _bad_v2)
