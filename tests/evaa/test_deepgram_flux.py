"""The simulated Flux: its turns by the audio clock, and its answers."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaa.simulators.deepgram.flux import CONFIDENCE, FluxHabits, FluxListener, confidence_after
from evaa.simulators.deepgram.listener import Close, Say
from evaa.simulators.deepgram.script import Fault
from tests.evaa.deepgram_driver import Driver, Word

HELLO: tuple[Word, ...] = (("Hello", 0.5, 0.8), ("there.", 0.8, 1.1))


def flux(fault: Fault | None = None, params: Mapping[str, str] | None = None, now: float = 0.0) -> FluxListener:
    given = {name: [value] for name, value in {"model": "flux-general-en", **(params or {})}.items()}
    return FluxListener(given, "id", fault or Fault(), FluxHabits(), now)


def driven(fault: Fault | None = None, **params: str) -> Driver:
    return Driver(flux(fault, params))


def turns(driver: Driver) -> list[tuple[float, str, str]]:
    """When, which event, and its text, without the updates."""
    said = [(at, out.message) for at, out in driver.said if isinstance(out, Say)]
    return [
        (at, message["event"], message["transcript"])
        for at, message in said
        if message["type"] == "TurnInfo" and message["event"] != "Update"
    ]


def updates(driver: Driver) -> list[tuple[float, str]]:
    said = [(at, out.message) for at, out in driver.said if isinstance(out, Say)]
    return [(at, message["transcript"]) for at, message in said if message.get("event") == "Update"]


# --- turns ------------------------------------------------------------------------------------------------------


def test_connected_comes_first_and_sequence_ids_count_all_messages() -> None:
    driver = driven(eager_eot_threshold="0.4")
    driver.play(2, *HELLO)
    driver.control('{"type":"Configure"}')
    driver.control('{"type":"ForceEndTurn"}')
    assert driver.messages[0] == {"type": "Connected", "request_id": "id", "sequence_id": 0}
    assert [message["sequence_id"] for message in driver.messages] == list(range(len(driver.messages)))
    assert driven(Fault(no_connected=True)).messages == []


def test_a_turn_begins_with_a_word_and_ends_with_silence() -> None:
    driver = driven()
    driver.play(3, *HELLO)
    assert turns(driver) == [(0.8, "StartOfTurn", "Hello"), (1.56, "EndOfTurn", "Hello there.")]
    ended = next(message for message in driver.messages if message.get("event") == "EndOfTurn")
    assert ended["trigger"] == "model"
    assert ended["end_of_turn_confidence"] >= 0.7
    assert (ended["turn_index"], ended["audio_window_start"], ended["audio_window_end"]) == (0, 0.0, 1.56)
    assert ended["words"][0] == {"word": "Hello", "confidence": 0.95, "start": 0.5, "end": 0.8}
    after = driver.messages[driver.messages.index(ended) + 1]
    assert (after["turn_index"], after["audio_window_start"], after["transcript"]) == (1, 1.56, "")
    assert all("trigger" not in message for message in driver.messages if message is not ended)


def test_updates_come_when_nothing_else_does() -> None:
    driver = driven()
    driver.play(1.4, *HELLO)
    assert updates(driver) == [(0.24, ""), (0.48, ""), (0.72, ""), (1.04, "Hello"), (1.28, "Hello there.")]


def test_eager_then_the_end_with_the_same_text() -> None:
    driver = driven(eager_eot_threshold="0.4", eot_threshold="0.85")
    driver.play(3, *HELLO)
    assert turns(driver) == [
        (0.8, "StartOfTurn", "Hello"),
        (1.3, "EagerEndOfTurn", "Hello there."),
        (1.9, "EndOfTurn", "Hello there."),
    ]


def test_a_turn_that_goes_on_after_eager_is_resumed() -> None:
    driver = driven(eager_eot_threshold="0.4")
    driver.play(4, *HELLO, ("And", 1.4, 1.7), ("more.", 1.7, 2.0))
    assert turns(driver)[1:] == [
        (1.3, "EagerEndOfTurn", "Hello there."),
        (1.7, "TurnResumed", "Hello there. And"),
        (2.2, "EagerEndOfTurn", "Hello there. And more."),
        (2.46, "EndOfTurn", "Hello there. And more."),
    ]


def test_a_voice_alone_postpones_the_end() -> None:
    driver = driven()
    driver.play(2.2, *HELLO, ("looooong", 1.3, 2.6))
    assert [event for _, event, _ in turns(driver)] == ["StartOfTurn"]


def test_the_timeout_ends_a_turn_that_the_model_leaves_open() -> None:
    driver = driven(eot_threshold="1.0", eot_timeout_ms="3000", eager_eot_threshold="0.9")
    driver.play(6, *HELLO)
    assert turns(driver)[1:] == [(2.3, "EagerEndOfTurn", "Hello there."), (4.1, "EndOfTurn", "Hello there.")]
    assert [message["trigger"] for message in driver.messages if "trigger" in message] == ["timeout"]


def test_only_audio_moves_time() -> None:
    driver = driven()
    driver.play(1.2, *HELLO)
    assert driver.listener.audio(100.0, was_decodable=False) == ()
    assert [event for _, event, _ in turns(driver)] == ["StartOfTurn"]


@given(st.lists(st.tuples(st.floats(0.05, 2.0), st.floats(0.1, 0.9)), max_size=12), st.booleans())
def test_the_guarantees_about_turns_hold(gaps: list[tuple[float, float]], is_eager: bool) -> None:
    words: list[Word] = []
    at_s = 0.0
    for gap_s, length_s in gaps:
        words.append(("word", at_s + gap_s, at_s + gap_s + length_s))
        at_s += gap_s + length_s
    driver = driven(None, **({"eager_eot_threshold": "0.4"} if is_eager else {}))
    driver.play(at_s + 2, *words)
    state, eager_text, heard = "none", "", 0
    for message in driver.messages[1:]:
        event, text = message["event"], message["transcript"]
        if event == "StartOfTurn":
            assert (state, bool(text)) == ("none", True)
            state = "turn"
        elif event == "EagerEndOfTurn":
            assert (state, bool(text)) == ("turn", True)
            state, eager_text = "eager", text
        elif event == "TurnResumed":
            assert state == "eager"
            state = "turn"
        elif event == "EndOfTurn":
            assert state != "none"
            assert state != "eager" or text == eager_text
            state, heard = "none", heard + len(message["words"])
        assert state == "none" or text
    assert (state, heard) == ("none", len(words))


def test_confidence_grows_with_silence_and_is_never_certain() -> None:
    grown = [confidence_after(tenth / 10) for tenth in range(200)]
    assert all(before <= after for before, after in pairwise(grown))
    assert grown[0] == CONFIDENCE[0][1]
    assert grown[-1] == 0.99
    assert confidence_after(-1.0) == 0.02


def test_multi_names_its_languages_and_word_times_can_be_left_out() -> None:
    driver = driven(Fault(no_word_times=True), model="flux-general-multi", language_hint="en")
    driver.play(0.9, *HELLO)
    newest = driver.messages[-1]
    assert (newest["languages"], newest["languages_hinted"]) == (["en"], ["en"])
    assert newest["words"] == [{"word": "Hello", "confidence": 0.95}]


# --- control messages -------------------------------------------------------------------------------------------


def test_a_forced_end_has_the_text_of_the_newest_message() -> None:
    driver = driven(eot_threshold="1.0")
    driver.play(1.1, *HELLO)
    [ended] = driver.control('{"type":"ForceEndTurn"}')
    assert (ended["event"], ended["trigger"], ended["transcript"]) == ("EndOfTurn", "manual", "Hello")
    driver = driven(eot_threshold="1.0")
    driver.play(1.3, *HELLO)
    assert driver.control('{"type":"ForceEndTurn"}')[0]["transcript"] == "Hello there."
    [warning] = driver.control('{"type":"ForceEndTurn"}')
    assert (warning["type"], warning["code"]) == ("Warning", "FORCE_END_TURN_NO_ACTIVE_TURN")
    deaf = driven(Fault(no_finish_answer=True))
    deaf.play(1.3, *HELLO)
    assert deaf.control('{"type":"ForceEndTurn"}') == []


def test_a_forced_end_supersedes_eager() -> None:
    driver = driven(eager_eot_threshold="0.4")
    driver.play(1.4, *HELLO)
    driver.control('{"type":"ForceEndTurn"}')
    driver.play(3, ("Next", 1.8, 2.0))
    events = [event for _, event, _ in turns(driver)]
    assert events == ["StartOfTurn", "EagerEndOfTurn", "EndOfTurn", "StartOfTurn", "EagerEndOfTurn", "EndOfTurn"]


def test_close_stream_gives_an_update_but_no_end() -> None:
    driver = driven()
    driver.play(1.0, *HELLO)
    [update] = driver.control('{"type":"CloseStream"}', ("there.", 0.8, 1.0))
    assert (update["event"], update["transcript"]) == ("Update", "Hello there.")
    assert driver.closes == [Close(None)]


@pytest.mark.parametrize(
    "message",
    [
        '{"type":"KeepAlive"}',
        '{"type":"Finalize"}',
        "{}",
        "nothing",
        '{"type":["CloseStream"]}',
        '{"type":"ForceEndTurn","channel":0}',
        '{"type":"Configure","features":{"numerals":true}}',
        '{"type":"Configure","numerals":"true"}',
        '{"type":"Configure","thresholds":{"eot":0.7}}',
    ],
)
def test_any_other_message_is_fatal(message: str) -> None:
    driver = driven()
    [error] = driver.control(message)
    assert (error["type"], error["code"], error["sequence_id"]) == ("Error", "UNPARSABLE_CLIENT_MESSAGE", 1)
    assert driver.closes == [Close(None)]


def configured(driver: Driver, content: str, now: float = 0.0) -> dict[str, Any]:
    [answer] = driver.control(f'{{"type":"Configure",{content}}}', now=now)
    return answer


def test_configure_changes_what_it_names_and_tells_all() -> None:
    driver = driven(eager_eot_threshold="0.4", keyterm="EVAA")
    answer = configured(driver, '"thresholds":{"eot_threshold":0.85,"eot_timeout_ms":8000},"numerals":true')
    assert answer == {
        "type": "ConfigureSuccess",
        "request_id": "id",
        "thresholds": {"eager_eot_threshold": 0.4, "eot_threshold": 0.85, "eot_timeout_ms": 8000},
        "keyterms": ["EVAA"],
        "language_hints": [],
        "numerals": True,
        "sequence_id": 1,
    }
    driver.play(3, *HELLO)
    assert turns(driver)[-1][0] == 1.9
    assert configured(driver, '"keyterms":[]')["keyterms"] == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('"thresholds":{"eager_eot_threshold":0.8}', "INVALID_THRESHOLD"),
        ('"thresholds":{"eot_threshold":0.49}', "INVALID_THRESHOLD"),
        ('"thresholds":{"eot_timeout_ms":100}', "INVALID_THRESHOLD"),
        ('"language_hints":["en"]', "INVALID_LANGUAGE_HINTS"),
        ('"keyterms":[' + ",".join(['"a"'] * 101) + "]", "TOO_MANY_KEYTERMS"),
    ],
)
def test_a_configure_that_fails_changes_nothing(content: str, code: str) -> None:
    driver = driven()
    failure = configured(driver, content)
    assert (failure["type"], failure["code"]) == ("ConfigureFailure", code)
    assert configured(driver, '"numerals":false')["thresholds"] == {"eot_threshold": 0.7, "eot_timeout_ms": 5000}
    assert driver.closes == []


def test_too_many_pending_configures() -> None:
    driver = driven(Fault(result_delay_s=0.5))
    answers = [configured(driver, '"numerals":true', now=now) for now in (0.0, 0.4, 1.0)]
    assert [answer.get("description", "") for answer in answers] == ["", "Too many pending Configure messages", ""]


# --- the wall clock ---------------------------------------------------------------------------------------------


def test_a_minute_without_anything_closes_and_pings_help() -> None:
    listener = flux(now=100.0)
    assert listener.deadline == 160.0
    listener.alive(150.0)
    assert listener.deadline == 210.0
    listener.audio(180.0, was_decodable=True)
    assert listener.deadline == 240.0
    assert listener.expire(240.0) == [Close(None)]
