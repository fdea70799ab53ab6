"""The simulated Nova-3: what it says when, by the audio clock and by the wall clock."""

from collections.abc import Mapping
from typing import Any

import pytest

from evaa.simulators.deepgram.listener import Close
from evaa.simulators.deepgram.nova import NO_AUDIO, NO_RESPONSE, NovaHabits, NovaListener
from evaa.simulators.deepgram.script import Fault
from tests.evaa.deepgram_driver import Driver, Word

PARAMS = {
    "model": "nova-3",
    "interim_results": "true",
    "endpointing": "300",
    "utterance_end_ms": "1500",
    "vad_events": "true",
    "smart_format": "true",
}
HELLO: tuple[Word, ...] = (("Hello", 0.5, 0.8), ("there.", 0.8, 1.1))


def nova(fault: Fault | None = None, changes: Mapping[str, str | None] | None = None, now: float = 0.0) -> NovaListener:
    params = {**PARAMS, **(changes or {})}
    given = {name: [value] for name, value in params.items() if value is not None}
    return NovaListener(given, "id", "created", fault or Fault(), NovaHabits(), now)


def driven(fault: Fault | None = None, **params: str | None) -> Driver:
    return Driver(nova(fault, params))


def text(message: dict[str, Any]) -> str:
    transcript = message["channel"]["alternatives"][0]["transcript"]
    assert isinstance(transcript, str)
    return transcript


def results(driver: Driver) -> list[tuple[float, str, bool, bool]]:
    """When, what, whether final, and whether the end of speech."""
    return [
        (at, text(message), message["is_final"], message["speech_final"])
        for at, message in timed(driver)
        if message["type"] == "Results"
    ]


def timed(driver: Driver) -> list[tuple[float, dict[str, Any]]]:
    return [(at, out.message) for at, out in driver.said if not isinstance(out, Close)]


def times_of(driver: Driver, kind: str) -> list[float]:
    return [at for at, message in timed(driver) if message["type"] == kind]


# --- results ----------------------------------------------------------------------------------------------------


def test_interim_results_each_second_then_the_end_of_speech_then_empty_ones() -> None:
    driver = driven()
    driver.play(4.5, *HELLO)
    assert results(driver) == [
        (1.0, "Hello", False, False),
        (1.4, "Hello there.", True, True),
        (2.0, "", False, False),
        (3.0, "", False, False),
        (4.0, "", False, False),
    ]
    final = next(message for message in driver.messages if message.get("is_final"))
    assert (final["start"], final["duration"], final["from_finalize"]) == (0.0, 1.4, False)
    assert final["channel"]["alternatives"][0]["words"][1] == {
        "word": "there",
        "start": 0.8,
        "end": 1.1,
        "confidence": 0.97,
        "punctuated_word": "there.",
    }
    assert final["metadata"]["model_info"]["arch"] == "nova-3"


def test_results_cover_the_audio_without_a_gap() -> None:
    driver = driven()
    words = [(f"word{number},", 0.5 + number * 0.4, 0.9 + number * 0.4) for number in range(20)]
    driver.play(20, *words)
    finals = [message for message in driver.messages if message.get("is_final")]
    assert " ".join(text(message) for message in finals).split() == [word[0] for word in words]
    to_s = 0.0
    for message in finals:
        assert message["start"] == pytest.approx(to_s, abs=0.002)
        to_s += message["duration"]
    assert to_s > 16


def test_long_speech_becomes_final_in_segments_that_end_with_a_clause() -> None:
    driver = driven(vad_events=None)
    words = [(f"w{number}" + "," * (number == 5), number * 0.4, number * 0.4 + 0.4) for number in range(12)]
    driver.play(5.2, *words)
    said = results(driver)
    finals = [(at, text) for at, text, is_final, _ in said if is_final]
    assert finals == [(3.5, "w0 w1 w2 w3 w4 w5,"), (5.1, "w6 w7 w8 w9 w10 w11")]
    # Without the end of a clause the newest word is left to the next segment: the final is shorter than the interim.
    driver = driven()
    driver.play(4, *[(f"w{number}", number * 0.4, number * 0.4 + 0.4) for number in range(12)])
    assert results(driver)[-2:] == [
        (3.5, "w0 w1 w2 w3 w4 w5 w6", True, False),
        (4.0, "w7 w8 w9", False, False),
    ]


def test_when_all_words_are_final_the_end_of_speech_is_told_by_an_empty_result() -> None:
    driver = driven()
    driver.play(5, *[(f"w{number},", number * 0.5, number * 0.5 + 0.5) for number in range(7)])
    finals = [(text, speech_final) for _, text, is_final, speech_final in results(driver) if is_final]
    assert finals == [("w0, w1, w2, w3, w4, w5, w6,", False), ("", True)]


def test_a_long_word_is_no_silence() -> None:
    driver = driven()
    driver.play(2.5, ("A", 0.5, 0.7), ("looooong", 0.7, 1.9))
    assert [result for result in results(driver) if result[2]] == [(2.2, "A looooong", True, True)]


def test_long_silence_becomes_final_too() -> None:
    driver = driven()
    driver.play(8)
    assert [result for result in results(driver) if result[2]] == [(3.5, "", True, False), (7.0, "", True, False)]


def test_without_formatting_text_is_bare() -> None:
    driver = driven(smart_format=None)
    driver.play(2, *HELLO)
    assert "hello there" in [text for _, text, _, _ in results(driver)]
    driver = driven(smart_format=None, punctuate="true")
    driver.play(2, *HELLO)
    assert "Hello there." in [text for _, text, _, _ in results(driver)]


def test_without_interim_results_there_are_only_finals() -> None:
    driver = driven(interim_results=None, utterance_end_ms=None)
    driver.play(4, *HELLO)
    assert results(driver) == [(1.4, "Hello there.", True, True)]


def test_multi_names_its_languages() -> None:
    driver = driven(language="multi")
    driver.play(2, *HELLO)
    assert [m["channel"]["alternatives"][0]["languages"] for m in driver.messages if m["type"] == "Results"] == [
        ["en"],
        ["en"],
        [],
    ]


# --- the end of speech ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpointing", "ended_at"), [("300", 1.4), ("1000", 2.1), ("10", 1.12), ("true", 1.12), (None, 1.12)]
)
def test_endpointing_is_silence_after_a_word(endpointing: str | None, ended_at: float) -> None:
    driver = driven(endpointing=endpointing)
    driver.play(3, *HELLO)
    assert [at for at, _, _, speech_final in results(driver) if speech_final] == [ended_at]


def test_without_endpointing_speech_is_final_but_never_over() -> None:
    driver = driven(endpointing="false")
    driver.play(8, *HELLO)
    assert not any(speech_final for *_, speech_final in results(driver))
    assert next(text for _, text, is_final, _ in results(driver) if is_final) == "Hello there."


def test_utterance_end_follows_an_interim_result_after_the_gap_once() -> None:
    driver = driven()
    driver.play(6, *HELLO)
    assert times_of(driver, "UtteranceEnd") == [3.0]
    kinds = [message["type"] for at, message in timed(driver) if at == 3.0]
    assert kinds == ["Results", "UtteranceEnd"]
    ended = next(message for message in driver.messages if message["type"] == "UtteranceEnd")
    assert ended == {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 1.1}


def test_speech_final_can_be_suppressed() -> None:
    driver = driven(Fault(suppress_speech_final=True))
    driver.play(6, *HELLO)
    assert next(result[1:] for result in results(driver) if result[2]) == ("Hello there.", True, False)
    assert not any(speech_final for *_, speech_final in results(driver))
    assert times_of(driver, "UtteranceEnd") == [3.0]


def test_finals_can_be_withheld_until_they_are_asked_for() -> None:
    driver = driven(Fault(withhold_finals=True))
    driver.play(9, *HELLO)
    assert not any(is_final for _, _, is_final, _ in results(driver))
    assert times_of(driver, "UtteranceEnd") == [3.0]
    assert [text(message) for message in driver.control('{"type":"Finalize"}')] == ["Hello there."]


def test_speech_started_lags_and_comes_again_within_a_turn() -> None:
    driver = driven()
    driver.play(6, *[(f"w{number},", 0.5 + number * 0.5, 1 + number * 0.5) for number in range(10)])
    started = [message for message in driver.messages if message["type"] == "SpeechStarted"]
    assert started[0] == {"type": "SpeechStarted", "channel": [0, 1], "timestamp": 0.6}
    assert len(started) == 2
    assert sum(speech_final for *_, speech_final in results(driver)) == 1
    silent = driven(vad_events=None)
    silent.play(2, *HELLO)
    assert times_of(silent, "SpeechStarted") == []


# --- control messages -------------------------------------------------------------------------------------------


def test_finalize_ends_what_is_pending_without_speech_final() -> None:
    driver = driven(endpointing="1000")
    driver.play(1.2, *HELLO)
    [answer] = driver.control('{"type":"Finalize"}')
    assert (text(answer), answer["is_final"], answer["speech_final"], answer["from_finalize"]) == (
        "Hello there.",
        True,
        False,
        True,
    )
    assert answer["duration"] == 1.2


def test_finalize_takes_in_the_word_that_was_nearly_heard() -> None:
    driver = driven()
    driver.play(0.9, *HELLO)
    answers = driver.control('{"type":"Finalize"}', ("there.", 0.8, 0.9))
    assert text(answers[-1]) == "Hello there."


def test_finalize_with_nothing_pending_is_answered_empty_or_not_at_all() -> None:
    driver = driven()
    driver.play(1.4, *HELLO)
    assert driver.control('{"type":"Finalize"}') == []
    driver.play(1.6)
    [answer] = driver.control('{"type":"Finalize"}')
    assert (text(answer), answer["from_finalize"]) == ("", True)
    deaf = driven(Fault(no_finish_answer=True), endpointing="1000")
    deaf.play(1.2, *HELLO)
    assert deaf.control('{"type":"Finalize"}') == []
    assert [text for _, text, is_final, _ in results(deaf) if is_final] == []


def test_close_stream_gives_the_rest_and_the_metadata() -> None:
    driver = driven()
    driver.play(1.2, *HELLO)
    final, metadata = driver.control('{"type":"CloseStream"}')
    assert (text(final), final["is_final"], final["from_finalize"]) == ("Hello there.", True, False)
    assert metadata["type"] == "Metadata"
    assert (metadata["duration"], metadata["channels"], metadata["transaction_key"]) == (1.2, 1, "deprecated")
    assert driver.closes == [Close(1000)]


def test_metadata_of_nothing_that_could_be_decoded() -> None:
    [metadata] = driven().control('{"type":"CloseStream"}')
    assert (metadata["duration"], metadata["channels"]) == (0.0, 0)


def test_configure_answers_exactly_once() -> None:
    driver = driven()
    assert driver.control('{"type":"Configure","keyterms":["Deepgram"]}') == [
        {"type": "ConfigureSuccess", "request_id": "id", "keyterms": ["Deepgram"]}
    ]
    assert driver.control('{"type":"Configure","features":{"numerals":true}}') == [
        {"type": "ConfigureSuccess", "request_id": "id"}
    ]
    many = " ".join(["term"] * 501)
    [failure] = driver.control(f'{{"type":"Configure","keyterms":["{many}"]}}')
    assert failure["code"] == "CONFIGURE_KEYTERM_LIMIT_EXCEEDED"
    [failure] = driven(model="nova-2").control('{"type":"Configure","keyterms":["a"]}')
    assert failure["code"] == "CONFIGURE_KEYTERMS_NOT_SUPPORTED"
    [failure] = driver.control('{"type":"Configure","keyterms":"a"}')
    assert failure["variant"] == "SchemaError"


def test_a_second_configure_before_the_answer_to_the_first_fails() -> None:
    driver = driven(Fault(result_delay_s=0.5))
    configure = '{"type":"Configure","keyterms":[]}'
    kinds = [driver.control(configure, now=now)[0] for now in (1.0, 1.4, 1.9)]
    assert [answer.get("code") for answer in kinds] == [None, "CONFIGURE_ALREADY_PENDING", None]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ('{"type":"KeepAlive "}', "unknown variant `KeepAlive `, expected one of `CloseStream`, `Configure`"),
        ('{"type":"ForceEndTurn"}', "unknown variant `ForceEndTurn`"),
        ("{}", "missing field `type`"),
        ("keep alive", "missing field `type`"),
        ('{"type":7}', "missing field `type`"),
        ("[" * 5000, "missing field `type`"),
    ],
)
def test_what_is_no_message_is_an_error_that_ends_nothing(message: str, problem: str) -> None:
    driver = driven()
    [error] = driver.control(message)
    assert (error["type"], error["variant"], error["message"]) == ("Error", "SchemaError", message)
    assert problem in error["description"]
    assert driver.closes == []


# --- the wall clock ---------------------------------------------------------------------------------------------


def test_silence_of_ten_seconds_closes_the_connection() -> None:
    listener = nova(now=100.0)
    assert listener.deadline == 110.0
    listener.control('{"type":"KeepAlive"}', (), 105.0)
    assert listener.deadline == 110.0, "without any audio a KeepAlive saves nothing"
    listener.alive(105.0)
    assert listener.deadline == 110.0
    listener.audio(107.0, was_decodable=True)
    assert listener.deadline == 117.0
    listener.control('{"type":"KeepAlive"}', (), 115.0)
    assert listener.deadline == 125.0
    _metadata, close = listener.expire(125.0)
    assert close == Close(1011, NO_AUDIO)
    assert "net0001" in NO_AUDIO


def test_audio_that_cannot_be_decoded_is_endured_for_twelve_seconds() -> None:
    listener = nova()
    outs = [out for tick in range(130) for out in listener.audio(tick / 10, was_decodable=False)]
    assert outs[0] == Close(1011, NO_RESPONSE)
    assert len(outs) == 10
    assert "net0000" in NO_RESPONSE


def test_a_header_and_then_a_pause_is_no_undecodable_audio() -> None:
    listener = nova()
    assert listener.audio(0.0, was_decodable=False) == ()
    assert listener.audio(60.0, was_decodable=False) == ()
    listener.audio(61.0, was_decodable=True)
    assert [out for tick in range(119) for out in listener.audio(61 + tick / 10, was_decodable=False)] == []
