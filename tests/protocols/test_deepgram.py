"""How a Deepgram connection is asked for, and what its refusal and its end mean."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.deepgram import (
    MAX_KEYTERM_CHARS,
    MAX_KEYTERMS,
    FluxOptions,
    NovaOptions,
    ProtocolName,
    closure,
    fitting_keyterms,
    flux_failure,
    is_flux,
    listen_query,
    refusal,
    takes_keyterms,
)
from protocols.deepgram_messages import FluxError
from protocols.ports import SttLost, SttRefused
from protocols.speech import Encoding, SttRequest

WEBM = SttRequest(encoding="webm")
MULTI = FluxOptions(model="flux-general-multi")


def asked(options: NovaOptions | FluxOptions, request: SttRequest = WEBM) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(listen_query(options, request)).query, strict_parsing=True)


def values(name: str, options: NovaOptions | FluxOptions, request: SttRequest = WEBM) -> list[str]:
    return [value for key, value in asked(options, request) if key == name]


# --- the model chooses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "v2"), [("nova-3", False), ("nova-2-general", False), ("flux-general-en", True)])
def test_the_model_chooses_the_protocol(model: str, v2: bool) -> None:
    assert is_flux(model) is v2


@pytest.mark.parametrize(
    ("model", "takes"), [("nova-3", True), ("nova-3-medical", True), ("flux-general-en", True), ("nova-2", False)]
)
def test_only_newer_models_are_told_words_to_expect(model: str, takes: bool) -> None:
    assert takes_keyterms(model) is takes


# --- v1 ---------------------------------------------------------------------------------------------------------


def test_nova_is_asked_for_interims_and_every_kind_of_end() -> None:
    target = listen_query(
        NovaOptions(language="en-US"), SttRequest(encoding="webm", keyterms=("Kubernetes", "n8n Ltd"))
    )
    assert target == (
        "/v1/listen?model=nova-3&language=en-US&interim_results=true&smart_format=true&vad_events=true"
        "&endpointing=300&utterance_end_ms=1500&keyterm=Kubernetes&keyterm=n8n%20Ltd"
    )


def test_endpointing_can_be_switched_off() -> None:
    assert values("endpointing", NovaOptions(endpointing_ms=None)) == ["false"]


@pytest.mark.parametrize(
    ("said", "sent"), [("de-CH", "de-CH"), (None, "en-US"), ("", "en-US"), ("e&model=x", "en-US"), ("multi", "multi")]
)
def test_the_clients_language_goes_before_the_configured_one(said: str | None, sent: str) -> None:
    options = NovaOptions(language="en-US")
    assert values("language", options, SttRequest(encoding="webm", language=said)) == [sent]


def test_no_language_at_all_is_deepgrams_own_choice() -> None:
    assert values("language", NovaOptions()) == []


def test_an_older_model_is_not_refused_for_keyterms() -> None:
    assert values("keyterm", NovaOptions(model="nova-2"), SttRequest(encoding="webm", keyterms=("n8n",))) == []


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"model": "flux-general-en"}, "/v1/listen"),
        ({"model": ""}, "/v1/listen"),
        ({"language": "en US"}, "language"),
        ({"endpointing_ms": 0}, "endpointing_ms"),
        ({"utterance_end_ms": 999}, "utterance_end_ms"),
        ({"utterance_end_ms": 5_001}, "utterance_end_ms"),
    ],
)
def test_what_v1_would_refuse_is_refused_here(wrong: dict[str, object], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        NovaOptions(**wrong)  # type: ignore[arg-type]


# --- v2 ---------------------------------------------------------------------------------------------------------


def test_flux_is_asked_with_its_own_parameters_only() -> None:
    options = FluxOptions(eot_threshold=0.85, eager_eot_threshold=0.4, eot_timeout_ms=8_000)
    request = SttRequest(encoding="webm", language="en-US", keyterms=("Kubernetes",))
    assert listen_query(options, request) == (
        "/v2/listen?model=flux-general-en&eot_threshold=0.85&eot_timeout_ms=8000&eager_eot_threshold=0.4"
        "&keyterm=Kubernetes"
    )


@pytest.mark.parametrize("off", [None, 0, 0.0])
def test_eager_ends_are_off_unless_asked_for(off: float | None) -> None:
    assert values("eager_eot_threshold", FluxOptions(eager_eot_threshold=off)) == []


@pytest.mark.parametrize(
    ("said", "hints"),
    [("de-CH", ["de"]), ("PT", ["pt"]), ("sv", ["en", "es"]), (None, ["en", "es"]), ("", ["en", "es"])],
)
def test_a_regional_language_falls_to_its_base_and_an_unknown_one_is_left_out(
    said: str | None, hints: list[str]
) -> None:
    options = FluxOptions(model="flux-general-multi", language_hints=("en-US", "es", "en", "tlh"))
    assert values("language_hint", options, SttRequest(encoding="webm", language=said)) == hints


def test_the_english_model_would_refuse_a_hint() -> None:
    assert values("language_hint", FluxOptions(), SttRequest(encoding="webm", language="en")) == []
    assert values("language_hint", MULTI, SttRequest(encoding="webm", language="en")) == ["en"]


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"model": "nova-3"}, "model"),
        ({"model": "flux"}, "model"),
        ({"eot_threshold": 0.49}, "eot_threshold"),
        ({"eot_threshold": 1.01}, "eot_threshold"),
        ({"eot_threshold": float("nan")}, "eot_threshold"),
        ({"eager_eot_threshold": 0.29}, "eager_eot_threshold"),
        ({"eager_eot_threshold": 0.91, "eot_threshold": 1.0}, "eager_eot_threshold"),
        ({"eager_eot_threshold": 0.75}, r"eager_eot_threshold must be at most eot_threshold \(0.7\), not 0.75"),
        ({"eot_timeout_ms": 499}, "eot_timeout_ms"),
        ({"eot_timeout_ms": 60_001}, "eot_timeout_ms"),
    ],
)
def test_what_v2_would_refuse_is_refused_here(wrong: dict[str, object], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        FluxOptions(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [FluxOptions(eot_threshold=0.5), FluxOptions(eot_threshold=1.0, eot_timeout_ms=500)]
)
def test_the_ends_of_the_ranges_are_allowed(options: FluxOptions) -> None:
    assert asked(options)


# --- encodings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [NovaOptions(), FluxOptions()])
@pytest.mark.parametrize("container", ["webm", "ogg"])
def test_a_container_tells_its_encoding_itself(options: NovaOptions | FluxOptions, container: Encoding) -> None:
    request = SttRequest(encoding=container, sample_rate=48_000)
    assert values("encoding", options, request) + values("sample_rate", options, request) == []


@pytest.mark.parametrize("options", [NovaOptions(), FluxOptions()])
@pytest.mark.parametrize("raw", ["opus", "linear16"])
def test_raw_audio_needs_encoding_and_rate(options: NovaOptions | FluxOptions, raw: Encoding) -> None:
    request = SttRequest(encoding=raw, sample_rate=48_000)
    assert values("encoding", options, request) + values("sample_rate", options, request) == [raw, "48000"]
    with pytest.raises(ValueError, match="needs a sample rate in Hz, not None"):
        listen_query(options, SttRequest(encoding=raw))
    with pytest.raises(ValueError, match="not 0"):
        listen_query(options, SttRequest(encoding=raw, sample_rate=0))


def test_flux_takes_only_some_rates() -> None:
    request = SttRequest(encoding="linear16", sample_rate=22_050)
    with pytest.raises(ValueError, match=r"8000, 16000, 24000, 44100, 48000 Hz, not 22050"):
        listen_query(FluxOptions(), request)
    assert values("sample_rate", NovaOptions(), request) == ["22050"]


# --- keyterms ---------------------------------------------------------------------------------------------------


def test_one_bad_keyterm_does_not_cost_the_connection() -> None:
    terms = (
        "  Northwind \n Traders ",
        "",
        "  ",
        "x" * MAX_KEYTERM_CHARS,
        "x" * (MAX_KEYTERM_CHARS + 1),
        "\ud800n8n",
        "SAP",
    )
    assert fitting_keyterms(terms) == ("Northwind Traders", "x" * MAX_KEYTERM_CHARS, "?n8n", "SAP")


def test_a_repeated_keyterm_is_sent_once() -> None:
    assert fitting_keyterms(["SAP", "n8n", "SAP "]) == ("SAP", "n8n")


def test_too_many_keyterms_are_cut_off_in_their_order() -> None:
    terms = tuple(f"t{number}" for number in range(MAX_KEYTERMS + 5))
    assert fitting_keyterms(terms) == terms[:MAX_KEYTERMS]


def test_too_many_tokens_are_cut_off() -> None:
    long = [f"{number:02}" + "x" * 98 for number in range(30)]  # 25 tokens each
    assert fitting_keyterms(long) == tuple(long[:20])
    wordy = [f"{number:02} b c d e f g h i j" for number in range(60)]  # 13 tokens each
    assert fitting_keyterms(wordy) == tuple(wordy[:38])


@given(st.lists(st.text(max_size=120)))
def test_any_keyterms_make_a_query_that_says_them(terms: list[str]) -> None:
    request = SttRequest(encoding="webm", keyterms=tuple(terms))
    assert values("keyterm", FluxOptions(), request) == list(fitting_keyterms(terms))


# --- refusals ---------------------------------------------------------------------------------------------------


def refused(
    status: int, body: bytes | None = None, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> SttLost | SttRefused:
    return refusal(status, headers, body)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 302, 200])
def test_what_is_wrong_stays_wrong(status: int) -> None:
    assert isinstance(refused(status), SttRefused)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_worth_another_attempt(status: int) -> None:
    error = refused(status)
    assert isinstance(error, SttLost)
    assert error.retry_after_s is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"7", 7.0), (b" 1.5 ", 1.5), (b"soon", None), (b"-1", None), (b"inf", None), (b"nan", None), (b"\xff", None)],
)
def test_retry_after_is_honoured(value: bytes, seconds: float | None) -> None:
    error = refused(429, headers=((b"Retry-After", value),))
    assert isinstance(error, SttLost)
    assert error.retry_after_s == seconds


def test_a_refusal_says_why_and_under_which_request() -> None:
    headers = ((b"DG-Request-Id", b"4f0c1c6e-6f0d"), (b"dg-error", b"Invalid credentials."))
    body = b'{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials.","request_id":"4f0c1c6e-6f0d"}'
    expected = "Deepgram refused the connection with 401: INVALID_AUTH: Invalid credentials. (request 4f0c1c6e-6f0d)"
    assert str(refused(401, body, headers)) == expected


def test_v2_says_it_in_other_words() -> None:
    body = b'{"code":"INVALID_PARAMETER","description":"language_hint is not supported"}'
    expected = "Deepgram refused the connection with 400: INVALID_PARAMETER: language_hint is not supported"
    assert str(refused(400, body)) == expected


@pytest.mark.parametrize(
    "body", [None, b"", b"<html>502 Bad Gateway</html>", b"\xff\xfe", b"[1]", b'{"err_msg":7}', b"[" * 100_000]
)
def test_a_body_that_is_not_deepgrams_leaves_the_header(body: bytes | None) -> None:
    assert str(refused(502, body, ((b"dg-error", b"No luck"),))) == "Deepgram refused the connection with 502: No luck"
    assert str(refused(502, body)) == "Deepgram refused the connection with 502"


def test_a_refusal_is_one_short_line_without_a_key() -> None:
    key = "0123456789abcdef0123456789abcdef01234567"
    message = str(refused(401, f'{{"err_msg":"Token {key}\\nis {"bad " * 200}"}}'.encode()))
    assert key not in message
    assert "Token [...] is bad" in message
    assert "\n" not in message
    assert len(message) < 300


# --- closes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("protocol", "code"), [("nova", 1000), ("nova", 1005), ("flux", 1005), ("flux", 1000)])
def test_the_end_that_was_asked_for_is_no_failure(protocol: ProtocolName, code: int) -> None:
    assert closure(protocol, code, "", asked=True) is None
    assert isinstance(closure(protocol, code, "", asked=False), SttLost)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1011, "Deepgram did not provide a response message within the timeout window. See https://dpgr.am/net0000"),
        (1011, "Deepgram did not receive audio data or a text message within the timeout window. NET-0001"),
        (1006, ""),
        (None, ""),
        (1008, "something else"),
        (4000, "new"),
    ],
)
@pytest.mark.parametrize("asked", [False, True])
def test_every_other_end_is_a_loss_even_when_one_was_asked_for(code: int | None, reason: str, asked: bool) -> None:
    error = closure("nova", code, reason, asked=asked)
    assert isinstance(error, SttLost)
    assert reason in str(error)
    assert str(code or 1006) in str(error)


@pytest.mark.parametrize("reason", ["DATA-0000", "see data0000"])
def test_audio_that_cannot_be_decoded_is_not_sent_again(reason: str) -> None:
    assert isinstance(closure("nova", 1008, reason, asked=False), SttRefused)


@pytest.mark.parametrize("code", ["INTERNAL_SERVER_ERROR", "UNPARSABLE_CLIENT_MESSAGE", "SOMETHING_NEW", ""])
def test_a_fatal_error_of_v2_may_pass(code: str) -> None:
    error = flux_failure(FluxError(code=code, description="An error occurred."))
    assert isinstance(error, SttLost)
    assert f"{code}: An error occurred." in str(error)
    assert ("a fault of EVAA's" in str(error)) == (code == "UNPARSABLE_CLIENT_MESSAGE")
