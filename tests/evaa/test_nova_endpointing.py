"""When an utterance is over on Deepgram's v1 protocol: each end, and each pitfall that is known of it."""

import pytest

from evaa.stt.nova_endpointing import FINISH_S, SILENCE_ANSWER_S, SILENCE_S
from protocols.deepgram_messages import (
    Malformed,
    Metadata,
    NovaError,
    NovaMessage,
    SpeechStarted,
    Unknown,
    UtteranceEnd,
)
from protocols.speech import AskToFinish, Final, Partial
from tests.evaa.deepgram_builders import connected_nova, ended, results, settled, texts, timed, untimed

# --- segments ---------------------------------------------------------------------------------------------------


def test_an_utterance_is_all_finals_up_to_speech_final() -> None:
    nova = connected_nova()
    assert nova.receive(results("we", 0.0, 1.0), 1.0) == [Partial("we")]
    assert nova.receive(settled("We had,", 0.0, 1.2), 1.3) == [Partial("We had,")]
    assert (nova.pending, nova.covered_s) == ("We had,", 1.2)
    assert nova.receive(results("and then", 1.2, 2.2), 2.3) == [Partial("We had, and then")]
    assert nova.pending == "We had,"
    assert nova.receive(ended("and then none.", 1.2, 3.0), 3.1) == [
        Final("We had, and then none.", 2.0, "speech_final")
    ]
    assert (nova.pending, nova.covered_s, nova.deadline) == ("", 3.0, None)


def test_a_partial_is_told_only_when_it_changed() -> None:
    nova = connected_nova()
    assert nova.receive(results("we", 0.0, 1.0), 1.0) == [Partial("we")]
    assert nova.receive(results("we", 0.0, 1.4), 1.4) == []
    assert nova.receive(settled("we", 0.0, 1.4), 1.5) == []
    assert nova.receive(results("", 1.4, 2.0), 2.0) == []


def test_an_interim_that_comes_to_nothing_vanishes() -> None:
    nova = connected_nova()
    nova.receive(results("uh", 0.0, 1.0), 1.0)
    assert nova.receive(results("", 0.0, 2.0), 2.0) == [Partial("")]
    assert nova.deadline is None


def test_a_final_shorter_than_the_interim_leaves_the_rest_to_the_next_segment() -> None:
    nova = connected_nova()
    nova.receive(results("we had and", 0.0, 1.0), 1.0)
    assert nova.receive(settled("We had,", 0.0, 0.5), 1.1) == [Partial("We had,")]
    assert texts(nova.receive(ended("and none", 0.6, 1.6), 2.0)) == ["We had, and none"]


def test_an_empty_final_does_not_clear_an_interim() -> None:
    nova = connected_nova()
    nova.receive(results("and", 0.4, 1.0), 1.0)
    assert nova.receive(settled("", 0.4, 0.9), 1.1) == []
    assert texts(nova.conclude()) == ["and"]


def test_audio_of_an_interim_that_an_empty_final_left_alone_is_heard_again() -> None:
    nova = connected_nova()
    nova.receive(results("and", 0.0, 1.0, words=timed("and", 0.5)), 1.0)
    nova.receive(settled("", 0.0, 0.9), 1.1)
    assert nova.covered_s == 0.5
    assert nova.disconnected() == [Partial("")]


def test_what_is_covered_never_shrinks() -> None:
    nova = connected_nova()
    nova.receive(settled("one", 0.0, 2.0), 2.0)
    nova.receive(settled("", 0.0, 1.0), 2.1)
    assert nova.covered_s == 2.0


def test_speech_final_without_text_is_no_end() -> None:
    nova = connected_nova()
    assert nova.receive(ended("", 0.0, 1.0), 1.0) == []
    nova.receive(results("and", 1.0, 2.0), 2.0)
    assert nova.receive(ended("", 1.0, 1.1), 2.1) == []


def test_an_empty_speech_final_ends_what_is_settled_and_leaves_the_interim_to_the_next_utterance() -> None:
    nova = connected_nova()
    nova.receive(settled("Yes.", 0.0, 1.0), 1.0)
    nova.receive(results("but", 1.5, 2.0), 2.0)
    assert nova.receive(ended("", 1.0, 1.4), 2.1) == [Final("Yes.", 0.2, "speech_final"), Partial("but")]
    assert nova.deadline == 2.0 + SILENCE_S


@pytest.mark.parametrize(
    "message",
    [SpeechStarted(1.0), Metadata("id", 1.0), NovaError("SchemaError", "d"), Unknown("Sync"), Malformed("why")],
)
def test_everything_else_means_nothing(message: NovaMessage) -> None:
    nova = connected_nova()
    nova.receive(results("we", 0.0, 1.0), 1.0)
    assert nova.receive(message, 1.5) == []
    assert nova.deadline == 1.0 + SILENCE_S


# --- UtteranceEnd -----------------------------------------------------------------------------------------------


def test_utterance_end_ends_what_noise_kept_from_its_speech_final() -> None:
    nova = connected_nova()
    nova.receive(settled("We had", 0.0, 1.0), 1.0)
    nova.receive(results("twenty", 1.0, 2.0), 2.0)
    assert nova.receive(UtteranceEnd(1.2), 2.5) == [Final("We had twenty", 1.2, "UtteranceEnd")]
    assert nova.deadline is None


def test_utterance_end_after_speech_final_is_ignored() -> None:
    nova = connected_nova()
    nova.receive(ended("Yes.", 0.0, 1.0), 1.0)
    assert nova.receive(UtteranceEnd(0.2), 1.5) == []


def test_utterance_end_of_minus_one_is_ignored() -> None:
    nova = connected_nova()
    nova.receive(results("we", 0.0, 1.0), 1.0)
    assert nova.receive(UtteranceEnd(-1.0), 1.5) == []


def test_utterance_end_about_the_turn_before_is_ignored() -> None:
    nova = connected_nova()
    nova.receive(ended("Yes.", 0.0, 1.0), 1.0)
    nova.receive(results("but", 1.0, 2.0, words=untimed("but")), 2.0)
    assert nova.receive(UtteranceEnd(0.2), 2.1) == []


def test_utterance_end_about_an_earlier_word_is_ignored() -> None:
    nova = connected_nova()
    nova.receive(settled("We had", 0.0, 1.0), 1.0)
    nova.receive(results("twenty", 1.0, 2.0), 2.0)
    assert nova.receive(UtteranceEnd(0.5), 2.1) == []


@pytest.mark.parametrize(("last_word_end", "ends"), [(1.2, True), (1.16, True), (1.14, False)])
def test_utterance_end_is_about_the_newest_word_within_rounding(last_word_end: float, ends: bool) -> None:
    nova = connected_nova()
    nova.receive(results("twenty", 1.0, 2.0), 2.0)
    assert bool(nova.receive(UtteranceEnd(last_word_end), 2.1)) is ends


def test_results_after_an_utterance_end_are_cut_by_their_words_times() -> None:
    nova = connected_nova()
    nova.receive(results("we had", 0.0, 1.0), 1.0)
    assert texts(nova.receive(UtteranceEnd(0.5), 1.5)) == ["we had"]
    assert nova.covered_s == 0.5
    assert nova.receive(results("we had twenty", 0.0, 1.5), 1.6) == [Partial("twenty")]
    assert texts(nova.receive(ended("We had twenty two.", 0.0, 2.0), 2.1)) == ["twenty two."]


def test_a_late_utterance_end_about_what_was_given_out_is_ignored() -> None:
    nova = connected_nova()
    nova.receive(results("we had", 0.0, 1.0), 1.0)
    nova.receive(UtteranceEnd(0.5), 1.5)
    nova.receive(results("we had twenty", 0.0, 1.5, words=(*timed("we had", 0.0), *untimed("twenty"))), 1.6)
    assert nova.receive(UtteranceEnd(0.5), 1.7) == []


def test_a_late_utterance_end_does_not_end_an_interim_that_speech_final_left_alone() -> None:
    nova = connected_nova()
    nova.receive(settled("Yes.", 0.0, 0.5), 1.0)
    nova.receive(results("but", 0.5, 2.0, words=untimed("but")), 2.0)
    nova.receive(ended("", 0.5, 1.0), 2.1)
    assert nova.receive(UtteranceEnd(0.2), 2.2) == []
    assert texts(nova.receive(UtteranceEnd(1.5), 3.5)) == ["but"]


# --- finishing --------------------------------------------------------------------------------------------------


def test_the_user_finishes_and_the_answer_ends_the_utterance() -> None:
    nova = connected_nova()
    nova.receive(results("my weakness", 0.0, 1.0), 1.0)
    assert nova.finish(1.2, 1.2) == [AskToFinish()]
    assert nova.deadline == 1.2 + FINISH_S
    answer = results("My weakness is this.", 0.0, 1.2, is_final=True, from_finalize=True)
    assert nova.receive(answer, 1.5) == [Final("My weakness is this.", 1.1, "from_finalize")]
    assert nova.deadline is None


def test_an_empty_answer_after_the_end_is_nothing() -> None:
    nova = connected_nova()
    nova.receive(ended("That's correct.", 0.0, 1.0), 1.0)
    nova.finish(1.1, 1.2)
    assert nova.receive(results("", 1.0, 1.2, is_final=True, from_finalize=True), 1.3) == []
    assert nova.deadline is None


def test_an_empty_answer_ends_what_is_there() -> None:
    nova = connected_nova()
    nova.receive(results("well", 0.0, 1.0), 1.0)
    nova.finish(1.1, 1.2)
    answer = results("", 0.0, 1.2, is_final=True, from_finalize=True)
    assert nova.receive(answer, 1.3) == [Final("well", 0.2, "from_finalize")]
    assert nova.receive(ended("Well.", 0.0, 1.5), 1.6) == []


def test_no_answer_and_what_there_is_becomes_final() -> None:
    nova = connected_nova()
    nova.receive(settled("We had", 0.0, 1.0), 1.0)
    nova.receive(results("twenty", 1.0, 2.0), 2.0)
    nova.finish(2.0, 2.0)
    assert nova.tick(2.999) == []
    assert nova.tick(3.0) == [Final("We had twenty", 1.2, "finalize_timeout")]
    assert (nova.deadline, nova.covered_s) == (None, 1.2)


def test_words_may_be_on_their_way_when_the_user_finishes_in_silence() -> None:
    nova = connected_nova()
    assert nova.finish(0.5, 0.4) == [AskToFinish()]
    assert nova.tick(1.5) == []
    assert nova.deadline is None


def test_what_is_heard_meanwhile_does_not_put_off_the_end_that_the_user_asked_for() -> None:
    nova = connected_nova()
    nova.finish(1.0, 1.0)
    nova.receive(results("my", 0.0, 1.0), 1.2)
    nova.receive(results("my word", 0.0, 1.0), 1.6)
    assert nova.deadline == 2.0
    assert texts(nova.tick(2.0)) == ["my word"]


def test_finalize_does_not_bring_a_speech_final_but_either_may_come_first() -> None:
    nova = connected_nova()
    nova.finish(1.0, 1.0)
    assert texts(nova.receive(ended("My word.", 0.0, 0.9), 1.2)) == ["My word."]
    assert nova.deadline == 2.0
    answer = results("Indeed.", 0.9, 1.2, is_final=True, from_finalize=True)
    assert texts(nova.receive(answer, 1.3)) == ["Indeed."]
    assert nova.deadline is None


def test_an_answer_that_comes_late_is_still_an_end() -> None:
    nova = connected_nova()
    nova.receive(results("my", 0.0, 1.0), 1.0)
    nova.finish(1.0, 1.0)
    nova.tick(2.0)
    answer = results("My word.", 0.0, 1.0, is_final=True, from_finalize=True)
    assert nova.receive(answer, 4.0) == [Final("word.", 0.5, "from_finalize")]


def test_from_finalize_that_nobody_asked_for_is_a_plain_final() -> None:
    nova = connected_nova()
    assert nova.receive(results("my", 0.0, 1.0, is_final=True, from_finalize=True), 1.0) == [Partial("my")]


def test_one_request_has_one_answer() -> None:
    nova = connected_nova()
    nova.finish(0.5, 0.5)
    nova.receive(results("", 0.0, 0.5, is_final=True, from_finalize=True), 0.6)
    assert nova.receive(results("my", 0.5, 1.0, is_final=True, from_finalize=True), 1.0) == [Partial("my")]


def test_a_request_over_a_lost_connection_has_no_answer() -> None:
    nova = connected_nova()
    nova.finish(0.5, 0.5)
    nova.disconnected()
    nova.connected(0.6)
    assert nova.receive(results("my", 0.0, 1.0, is_final=True, from_finalize=True), 1.0) == [Partial("my")]


# --- silence ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_final", [False, True])
def test_silence_asks_deepgram_and_then_ends_the_utterance(is_final: bool) -> None:
    nova = connected_nova()
    nova.receive(results("five five one", 0.0, 1.0, is_final=is_final), 1.0)
    assert nova.deadline == 1.0 + SILENCE_S
    assert nova.tick(2.749) == []
    assert nova.tick(2.75) == [AskToFinish()]
    assert nova.deadline == 2.75 + SILENCE_ANSWER_S
    assert nova.tick(3.499) == []
    assert nova.tick(3.5) == [Final("five five one", 0.8, "silence")]
    assert nova.tick(100.0) == []


def test_results_that_say_nothing_new_do_not_break_the_silence() -> None:
    nova = connected_nova()
    nova.receive(results("we", 0.0, 1.0), 1.0)
    nova.receive(results("we", 0.0, 2.0), 2.0)
    nova.receive(SpeechStarted(2.0), 2.1)
    assert nova.deadline == 2.75


def test_new_words_break_the_silence_even_after_deepgram_was_asked() -> None:
    nova = connected_nova()
    nova.receive(results("we", 0.0, 1.0), 1.0)
    nova.tick(2.75)
    nova.receive(results("we had", 0.0, 3.0), 3.0)
    assert nova.deadline == 3.0 + SILENCE_S
    answer = results("", 0.0, 2.0, is_final=True, from_finalize=True)
    assert texts(nova.receive(answer, 3.1)) == ["we had"]


def test_there_is_no_silence_to_break_without_text() -> None:
    nova = connected_nova()
    nova.receive(results("", 0.0, 1.0), 1.0)
    assert nova.deadline is None
    assert nova.tick(100.0) == []


def test_an_end_while_deepgram_is_asked_leaves_the_next_utterance_its_time() -> None:
    nova = connected_nova()
    nova.receive(settled("we", 0.0, 1.0), 1.0)
    nova.tick(2.75)
    assert texts(nova.receive(ended("", 1.0, 2.0), 2.8)) == ["we"]
    assert nova.deadline is None


def test_what_silence_gave_out_does_not_come_again() -> None:
    nova = connected_nova()
    nova.receive(results("five five", 0.0, 1.0), 1.0)
    nova.tick(2.75)
    nova.tick(3.5)
    assert nova.receive(settled("Five five", 0.0, 0.5), 4.0) == []
    assert texts(nova.receive(ended("one.", 0.6, 1.0), 5.0)) == ["one."]


@pytest.mark.parametrize(("end", "heard"), [(1.0, []), (1.4, [Partial("we had")])])
def test_untimed_words_are_dropped_only_if_they_lie_before_what_was_given_out(end: float, heard: list[Partial]) -> None:
    nova = connected_nova()
    nova.receive(results("we", 0.0, 1.0, words=untimed("we")), 1.0)
    nova.tick(2.75)
    assert nova.tick(3.5) == [Final("we", None, "silence")]
    assert nova.covered_s == 1.0
    assert nova.receive(results("we had", 0.0, end, words=untimed("we had"), is_final=True), 4.0) == heard
