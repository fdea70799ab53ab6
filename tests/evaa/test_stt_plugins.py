"""The choice of the speech-to-text: what each choice gives, and what is refused."""

from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
import structlog
import trio
import trio.testing

from evaa.plugins import PluginRefused
from evaa.stt.deepgram_flux import DeepgramFlux
from evaa.stt.deepgram_nova import DeepgramNova
from evaa.stt.deepgram_socket import DeepgramAccess
from evaa.stt.plugins import SttChoice, choose_speech_to_text
from protocols.ports import SpeechToText, SttLost
from protocols.speech import SttRequest, SttTraits
from tests.evaa import test_plugins

KEY = "dg_canary_key"
HERE = __name__
THERE = test_plugins.__name__
LOGGED = {"actor": "stt", "log_level": "info"}


class Ours:
    """What a factory of somebody else's returns."""

    name = "ours"
    traits = SttTraits(keep_alive_s=1.0, unused_s=None, silence_s=1.0, unheard_s=0.75)

    def endpointing(self, pending: str = "") -> object: ...

    def connect(self, request: SttRequest) -> object: ...


def make_trouble() -> object:
    return 1 // 0


class Chosen(NamedTuple):
    stt: SpeechToText[Any] | None
    log: dict[str, Any]


def choice(plugin: str, *, key: str = "", url: str = "wss://deepgram.test", **changes: Any) -> SttChoice:
    fields: dict[str, Any] = {
        "plugin": plugin,
        "access": DeepgramAccess(url=url, api_key=key),
        "model": "flux-general-en",
        "language": "en",
        "endpointing_ms": 400,
        "utterance_end_ms": 1_500,
        "eot_threshold": 0.8,
        "eager_eot_threshold": 0.5,
        "eot_timeout_ms": 6_000,
    }
    return SttChoice(**fields | changes)


def chosen(plugin: str, **changes: Any) -> Chosen:
    with structlog.testing.capture_logs() as logs:
        stt = choose_speech_to_text(choice(plugin, **changes))
    assert KEY not in repr(logs)
    (log,) = logs
    assert log.pop("event") == "stt.chosen"
    return Chosen(stt, dict(log))


async def asked_of_deepgram(**changes: Any) -> tuple[str, dict[str, list[str]], bytes]:
    """Path, query and headers of the handshake that a connection begins with."""
    client, server = trio.testing.memory_stream_pair()

    async def dial(host: str, port: int, tls: bool) -> trio.abc.Stream:
        assert (host, port, tls) == ("deepgram.test", 443, True)
        return client

    async def connect() -> None:
        stt = choose_speech_to_text(choice("deepgram", key=KEY, **changes), dial)
        assert stt is not None
        with pytest.RaisesGroup(SttLost, allow_unwrapped=True, flatten_subgroups=True):
            async with stt.connect(SttRequest(encoding="webm")):
                raise AssertionError("it is connected")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(connect)
        request = bytes(await server.receive_some())
        await server.aclose()
    line, _, headers = request.partition(b"\r\n")
    url = urlsplit(line.split()[1].decode())
    return url.path, parse_qs(url.query), headers


# --- the choice -------------------------------------------------------------------------------------------------


def test_auto_without_a_key_is_none_and_says_so() -> None:
    assert chosen("auto") == (None, {"plugin": "none", "model": None, "reason": "DEEPGRAM_API_KEY is not set"} | LOGGED)


def test_none_stays_none_even_with_a_key() -> None:
    assert chosen("none", key=KEY) == (None, {"plugin": "none", "model": None, "reason": "EVAA_STT"} | LOGGED)


@pytest.mark.parametrize(("plugin", "reason"), [("auto", "DEEPGRAM_API_KEY is set"), ("deepgram", "EVAA_STT")])
@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("flux-general-en", DeepgramFlux),
        ("flux-general-multi", DeepgramFlux),
        ("nova-3", DeepgramNova),
        ("nova-2-medical", DeepgramNova),
        ("enhanced", DeepgramNova),
    ],
)
def test_the_model_chooses_the_protocol(plugin: str, reason: str, model: str, kind: type) -> None:
    stt, log = chosen(plugin, key=KEY, model=model)
    assert type(stt) is kind
    assert log == {"plugin": "deepgram", "model": model, "reason": reason} | LOGGED


async def test_flux_gets_the_options_of_flux() -> None:
    path, query, headers = await asked_of_deepgram(model="flux-general-multi", language="de-AT")
    assert path == "/v2/listen"
    assert query == {
        "model": ["flux-general-multi"],
        "eot_threshold": ["0.8"],
        "eager_eot_threshold": ["0.5"],
        "eot_timeout_ms": ["6000"],
        "language_hint": ["de"],
    }
    assert f"Authorization: Token {KEY}".encode() in headers


async def test_without_eager_ends_there_is_no_threshold_for_them() -> None:
    _, query, _ = await asked_of_deepgram(eager_eot_threshold=0.0)
    assert "eager_eot_threshold" not in query


async def test_nova_gets_the_options_of_nova() -> None:
    path, query, headers = await asked_of_deepgram(model="nova-3", language="de-AT")
    assert path == "/v1/listen"
    told = {name: query[name] for name in ("model", "language", "endpointing", "utterance_end_ms")}
    assert told == {
        "model": ["nova-3"],
        "language": ["de-AT"],
        "endpointing": ["400"],
        "utterance_end_ms": ["1500"],
    }
    assert not [name for name in query if name.startswith(("eot", "eager"))]
    assert f"Authorization: Token {KEY}".encode() in headers


def test_a_factorys_plug_in_is_what_it_returns() -> None:
    stt, log = chosen(f"{HERE}:Ours", key=KEY)
    assert (stt and stt.name) == "ours"
    assert log == {"plugin": f"{HERE}:Ours", "model": None, "reason": "EVAA_STT"} | LOGGED


# --- refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("no_such_module:make", "cannot be loaded: No module named 'no_such_module'."),
        (f"{HERE}:make_none_such", f"cannot be loaded: module '{HERE}' has no attribute 'make_none_such'."),
        (f"{THERE}:NOT_CALLABLE", "that is not callable; it should return a speech-to-text."),
        (f"{THERE}:make_nothing", "what it returns lacks name, traits, endpointing, connect."),
        (f"{THERE}:make_half", "what it returns lacks traits, endpointing, connect."),
    ],
)
def test_a_plug_in_that_cannot_be_had_is_refused_in_one_sentence(path: str, why: str) -> None:
    with pytest.raises(PluginRefused) as raised:
        choose_speech_to_text(choice(path, key=KEY))
    assert str(raised.value) in (f"EVAA_STT is {path}, but {why}", f"EVAA_STT is {path}, but it {why}")


def test_a_factorys_own_error_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        choose_speech_to_text(choice(f"{HERE}:make_trouble"))


FLUX: dict[str, Any] = {"model": "flux-general-en"}
NOVA: dict[str, Any] = {"model": "nova-3"}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            FLUX | {"eot_threshold": 0.4},
            "EVAA_DEEPGRAM_EOT_THRESHOLD is wrong: eot_threshold must be 0.5 to 1.0, not 0.4",
        ),
        (
            FLUX | {"eager_eot_threshold": 0.2},
            "EVAA_DEEPGRAM_EAGER_EOT_THRESHOLD is wrong: eager_eot_threshold must be 0.3 to 0.9, or left out, not 0.2",
        ),
        (
            FLUX | {"eager_eot_threshold": 0.85},
            "EVAA_DEEPGRAM_EAGER_EOT_THRESHOLD is wrong: eager_eot_threshold must be at most eot_threshold (0.8),"
            " not 0.85",
        ),
        (
            FLUX | {"eot_timeout_ms": 499},
            "EVAA_DEEPGRAM_EOT_TIMEOUT_MS is wrong: eot_timeout_ms must be 500 to 60000, not 499",
        ),
        ({"model": "flux"}, "EVAA_DEEPGRAM_MODEL is wrong: model must be such as flux-general-en, not flux"),
        (
            NOVA | {"utterance_end_ms": 999},
            "EVAA_DEEPGRAM_UTTERANCE_END_MS is wrong: utterance_end_ms must be 1000 to 5000, not 999",
        ),
        (
            NOVA | {"endpointing_ms": 0},
            "EVAA_DEEPGRAM_ENDPOINTING_MS is wrong: endpointing_ms must be more than 0, not 0",
        ),
        (
            NOVA | {"language": "no language"},
            "EVAA_STT_LANGUAGE is wrong: language must be a tag such as en-US, or multi, not no language",
        ),
        (
            FLUX | {"language": "de-AT"},
            "EVAA_STT_LANGUAGE is de-AT, but flux-general-en hears en; set EVAA_DEEPGRAM_MODEL to flux-general-multi"
            " (ten languages) or nova-3",
        ),
        (
            {"model": "flux-general-multi", "language": "fi"},
            "EVAA_STT_LANGUAGE is fi, but flux-general-multi hears de, en, es, fr, hi, it, ja, nl, pt, ru; set"
            " EVAA_DEEPGRAM_MODEL to flux-general-multi (ten languages) or nova-3",
        ),
    ],
)
def test_what_deepgram_would_refuse_is_refused_at_the_start(options: dict[str, Any], why: str) -> None:
    with pytest.raises(PluginRefused) as raised:
        choose_speech_to_text(choice("deepgram", key=KEY, **options))
    assert str(raised.value) == f"{why}."


@pytest.mark.parametrize("options", [FLUX | {"endpointing_ms": 0}, NOVA | {"eot_threshold": 0.1}])
def test_options_of_the_other_protocol_do_not_matter(options: dict[str, Any]) -> None:
    assert chosen("deepgram", key=KEY, **options).stt is not None
