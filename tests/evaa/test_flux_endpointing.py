"""When an utterance is over on Deepgram's v2 protocol: each event, and each pitfall that is known of it."""

import pytest

from evaa.stt.flux_endpointing import FINISH_S, ONSET_S, SALVAGED_S, TAIL_S, FluxEndpointing
from protocols.deepgram_messages import NO_ACTIVE_TURN, Connected, FluxMessage, FluxWarning, Malformed, Unknown, Word
from protocols.speech import AskToFinish, Eager, Final, Partial, Resumed
from tests.evaa.deepgram_builders import connected_flux, texts, turn, untimed

NOT_ACTIVE = FluxWarning(NO_ACTIVE_TURN, "Received ForceEndTurn while no turn was active; the request was ignored.")

# --- turns ------------------------------------------------------------------------------------------------------


def test_every_transcript_is_the_whole_turn_so_far() -> None:
    flux = connected_flux()
    assert flux.receive(turn("Update", "", 0.2), 0.2) == []
    assert flux.receive(turn("StartOfTurn", "I", 0.5), 0.5) == [Partial("I")]
    assert flux.receive(turn("Update", "I would", 0.8), 0.8) == [Partial("I would")]
    assert flux.receive(turn("Update", "I would", 1.0), 1.0) == []
    assert flux.receive(turn("EndOfTurn", "I would.", 1.2, trigger="model"), 1.2) == [Final("I would.", 0.5, "model")]
    assert (flux.covered_s, flux.pending, flux.deadline) == (1.2, "", None)
    assert flux.receive(turn("StartOfTurn", "But", 2.0, index=1, start=1.5), 2.0) == [Partial("But")]


def test_an_eager_end_is_followed_by_an_end_that_says_the_same() -> None:
    flux = connected_flux()
    flux.receive(turn("StartOfTurn", "I", 0.5), 0.5)
    assert flux.receive(turn("EagerEndOfTurn", "I would.", 1.0), 1.0) == [Eager("I would.")]
    assert flux.receive(turn("Update", "I would.", 1.2), 1.2) == [Partial("I would.")]
    assert flux.receive(turn("EndOfTurn", "I would.", 1.3, trigger="model"), 1.3) == [Final("I would.", 0.5, "model")]


def test_a_turn_that_is_resumed_voids_its_eager_end() -> None:
    flux = connected_flux()
    flux.receive(turn("EagerEndOfTurn", "I would.", 1.0), 1.0)
    assert flux.receive(turn("TurnResumed", "I would, and", 1.3), 1.3) == [Resumed(), Partial("I would, and")]
    assert flux.receive(turn("EagerEndOfTurn", "I would, and could.", 2.0), 2.0) == [Eager("I would, and could.")]
    assert texts(flux.receive(turn("EndOfTurn", "I would, and could.", 2.2), 2.2)) == ["I would, and could."]


def test_a_turn_may_resume_though_nothing_was_eager() -> None:
    flux = connected_flux()
    assert flux.receive(turn("TurnResumed", "I would", 1.0), 1.0) == [Partial("I would")]


def test_an_eager_end_that_is_repeated_counts_once_and_another_one_voids_it() -> None:
    flux = connected_flux()
    flux.receive(turn("EagerEndOfTurn", "I would.", 1.0), 1.0)
    assert flux.receive(turn("EagerEndOfTurn", "I would.", 1.1), 1.1) == []
    assert flux.receive(turn("EagerEndOfTurn", "I would not.", 1.4), 1.4) == [Resumed(), Eager("I would not.")]


def test_an_end_that_differs_from_the_eager_one_is_just_the_end() -> None:
    flux = connected_flux()
    flux.receive(turn("EagerEndOfTurn", "I would", 1.0), 1.0)
    end = turn("EndOfTurn", "I would not.", 1.3, trigger="manual")
    assert flux.receive(end, 1.3) == [Final("I would not.", 0.8, "manual")]
    assert flux.receive(turn("TurnResumed", "", 1.5, index=1), 1.5) == []


def test_an_end_needs_no_start() -> None:
    flux = connected_flux()
    assert texts(flux.receive(turn("EndOfTurn", "Yes.", 1.0), 1.0)) == ["Yes."]
    assert flux.receive(turn("Update", "But", 2.0, index=1), 2.0) == [Partial("But")]


def test_an_end_without_a_trigger_is_named_for_the_event() -> None:
    assert connected_flux().receive(turn("EndOfTurn", "Yes.", 1.0), 1.0) == [Final("Yes.", 0.2, "EndOfTurn")]


def test_an_empty_end_takes_back_what_was_shown() -> None:
    flux = connected_flux()
    assert flux.receive(turn("EndOfTurn", "", 1.0), 1.0) == []
    flux.receive(turn("StartOfTurn", "uh", 2.0, index=1), 2.0)
    assert flux.receive(turn("Update", "", 2.2, index=1), 2.2) == []
    assert flux.receive(turn("EndOfTurn", "", 3.0, index=1), 3.0) == [Partial("")]
    flux.receive(turn("EagerEndOfTurn", "uh", 4.0, index=2), 4.0)
    assert flux.receive(turn("EndOfTurn", "", 5.0, index=2), 5.0) == [Resumed()]
    assert flux.covered_s == 5.0


def test_an_eager_end_without_text_is_none() -> None:
    assert connected_flux().receive(turn("EagerEndOfTurn", "", 1.0), 1.0) == []


def test_a_turn_whose_end_was_missed_ends_with_the_next_one() -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "Yes", 1.0), 1.0)
    heard = flux.receive(turn("StartOfTurn", "But", 2.5, index=1, start=1.5), 2.5)
    assert heard == [Final("Yes", 0.2, "turn_index"), Partial("But")]
    assert flux.covered_s == 1.5


def test_an_event_that_is_new_is_an_update() -> None:
    assert connected_flux().receive(turn("TurnMulledOver", "I", 1.0), 1.0) == [Partial("I")]


@pytest.mark.parametrize(
    "message", [Connected("id"), FluxWarning("NEW", ""), NOT_ACTIVE, Unknown("x"), Malformed("why")]
)
def test_everything_else_means_nothing(message: FluxMessage) -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "I", 1.0), 1.0)
    assert flux.receive(message, 1.5) == []
    assert texts(flux.receive(turn("EndOfTurn", "I.", 2.0), 2.0)) == ["I."]


def test_silence_needs_no_replay_except_for_a_word_that_may_have_begun() -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "", 1.0), 1.0)
    assert flux.covered_s == 0.0
    flux.receive(turn("Update", "", 60.0), 60.0)
    assert flux.covered_s == 60.0 - ONSET_S
    flux.receive(turn("Update", "I", 61.0), 61.0)
    flux.receive(turn("Update", "", 65.0), 65.0)
    assert flux.covered_s == 60.0 - ONSET_S


# --- finishing --------------------------------------------------------------------------------------------------


def test_the_end_is_forced_once_everything_that_was_sent_is_heard() -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "my", 0.8), 1.0)
    assert flux.finish(1.1, 1.0) == []
    assert flux.deadline == 1.1 + TAIL_S
    assert flux.receive(turn("Update", "my", 0.97), 1.2) == []
    assert flux.receive(turn("Update", "my word", 0.99), 1.25) == [Partial("my word"), AskToFinish()]
    assert flux.deadline == 1.25 + FINISH_S
    end = turn("EndOfTurn", "my word", 1.0, trigger="manual")
    assert flux.receive(end, 1.3) == [Final("my word", 0.5, "manual")]
    assert flux.deadline is None


def test_the_end_is_forced_at_once_if_everything_is_heard_already() -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "my word", 1.0), 1.0)
    assert flux.finish(1.1, 1.0) == [AskToFinish()]


def test_the_end_is_forced_after_a_while_whatever_was_heard() -> None:
    flux = connected_flux()
    flux.finish(1.0, 1.0)
    assert flux.tick(1.299) == []
    assert flux.tick(1.3) == [AskToFinish()]
    assert flux.deadline == 1.3 + FINISH_S


def test_no_answer_and_what_there_is_becomes_final() -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "my word", 1.0), 1.0)
    flux.finish(1.0, 1.0)
    assert flux.tick(1.999) == []
    assert flux.tick(2.0) == [Final("my word", 0.5, "finish_timeout")]
    assert (flux.deadline, flux.covered_s) == (None, 0.5)


def test_no_answer_and_nothing_is_there() -> None:
    flux = connected_flux()
    flux.finish(1.0, 0.0)
    assert flux.tick(2.0) == []
    assert flux.deadline is None


def test_a_turn_that_ends_before_it_is_forced_to_is_not_forced() -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "my", 0.8), 0.8)
    flux.finish(1.0, 1.0)
    assert texts(flux.receive(turn("EndOfTurn", "my word", 1.0), 1.2)) == ["my word"]
    assert flux.deadline is None


def test_a_turn_that_ends_before_everything_is_heard_is_not_the_last() -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "my", 0.5), 0.5)
    flux.finish(1.0, 1.0)
    assert texts(flux.receive(turn("EndOfTurn", "my", 0.6), 1.1)) == ["my"]
    assert flux.tick(1.3) == [AskToFinish()]


def test_no_turn_to_end_is_an_answer() -> None:
    flux = connected_flux()
    flux.finish(1.0, 0.0)
    assert flux.receive(NOT_ACTIVE, 1.1) == []
    assert flux.deadline is None


def test_no_turn_to_end_though_words_were_heard_ends_them() -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "my word", 1.0), 1.0)
    flux.finish(1.0, 1.0)
    assert flux.receive(NOT_ACTIVE, 1.1) == [Final("my word", 0.5, NO_ACTIVE_TURN)]


def test_an_eager_end_may_be_forced() -> None:
    flux = connected_flux()
    flux.receive(turn("EagerEndOfTurn", "Forty two.", 1.0), 1.0)
    assert flux.finish(1.0, 1.0) == [AskToFinish()]
    end = turn("EndOfTurn", "Forty two.", 1.0, trigger="manual")
    assert flux.receive(end, 1.1) == [Final("Forty two.", 0.5, "manual")]


@pytest.mark.parametrize("is_timed", [True, False])
def test_what_was_given_out_is_not_repeated_by_the_same_turn(is_timed: bool) -> None:
    def words(text: str) -> tuple[Word, ...] | None:
        return None if is_timed else untimed(text)

    flux = connected_flux()
    flux.receive(turn("Update", "my word", 1.0, words=words("my word")), 1.0)
    flux.finish(1.0, 1.0)
    flux.tick(2.0)
    assert flux.covered_s == (0.5 if is_timed else 1.0)
    later = "My word, is this"
    assert flux.receive(turn("Update", "My word,", 1.2, words=words("My word,")), 2.1) == []
    assert flux.receive(turn("Update", later, 1.5, words=words(later)), 2.2) == [Partial("is this")]
    flux.finish(2.3, 1.5)
    assert texts(flux.tick(3.3)) == ["is this"]
    last = "My word, is this true?"
    end = turn("EndOfTurn", last, 2.0, words=words(last))
    assert texts(flux.receive(end, 4.0)) == ["true?"]
    assert texts(flux.receive(turn("EndOfTurn", "My word!", 3.0, index=1), 5.0)) == ["My word!"]


def test_a_turn_that_was_given_out_whole_ends_without_a_word() -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "my word", 1.0), 1.0)
    flux.finish(1.0, 1.0)
    flux.tick(2.0)
    assert flux.receive(turn("EagerEndOfTurn", "My word.", 1.2), 2.1) == []
    assert flux.receive(turn("EndOfTurn", "My word.", 1.5), 2.2) == []
    assert flux.covered_s == 1.5


def test_a_turn_that_was_given_out_without_word_times_is_cut_by_their_number() -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "my word", 1.0, words=()), 1.0)
    flux.finish(1.0, 1.0)
    flux.tick(2.0)
    assert texts(flux.receive(turn("EndOfTurn", "my word is", 2.0), 3.0)) == ["is"]


def test_what_was_given_out_is_cut_by_its_time_even_if_its_words_were_joined() -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "forty two", 1.0), 1.0)
    flux.finish(1.0, 1.0)
    flux.tick(2.0)
    words = (Word("42", None, 0.0, 0.5), Word("is", None, 0.6, 0.8))
    assert texts(flux.receive(turn("EndOfTurn", "42 is", 2.0, words=words), 3.0)) == ["is"]


def test_finishing_takes_back_what_came_to_nothing() -> None:
    flux = connected_flux()
    flux.receive(turn("EagerEndOfTurn", "uh", 0.5), 0.5)
    flux.receive(turn("Update", "uhm", 0.6), 0.6)
    flux.receive(turn("Update", "", 1.0), 1.0)
    flux.finish(1.0, 1.0)
    assert flux.tick(2.0) == [Resumed(), Partial("")]


# --- connections ------------------------------------------------------------------------------------------------


def test_a_lost_connection_takes_back_the_open_turn() -> None:
    flux = connected_flux()
    flux.receive(turn("EndOfTurn", "Yes.", 1.0), 1.0)
    flux.receive(turn("Update", "But", 2.0, index=1, start=1.5), 2.0)
    assert flux.disconnected() == [Partial("")]
    assert (flux.covered_s, flux.deadline, flux.pending) == (1.0, None, "")
    flux.connected(5.0)
    assert flux.covered_s == 0.0
    assert texts(flux.receive(turn("EndOfTurn", "But no.", 1.5, start=0.5), 6.0)) == ["But no."]


def test_an_eager_end_is_void_when_the_connection_is_lost() -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "Yes.", 0.9), 0.9)
    flux.receive(turn("EagerEndOfTurn", "Yes.", 1.0), 1.0)
    assert flux.disconnected() == [Resumed(), Partial("")]


def test_what_was_taken_back_is_not_said_by_the_next_connection() -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "But", 1.0), 1.0)
    flux.disconnected()
    flux.connected(2.0)
    assert flux.conclude() == []


def test_what_was_given_out_over_a_lost_connection_cuts_nothing_from_the_next() -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "my word", 1.0), 1.0)
    flux.finish(1.0, 1.0)
    flux.tick(2.0)
    flux.disconnected()
    flux.connected(3.0)
    assert texts(flux.receive(turn("EndOfTurn", "is this true?", 1.0), 4.0)) == ["is this true?"]


def test_words_whose_audio_is_forgotten_are_settled() -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "one two three", 1.0), 1.0)
    assert flux.disconnected(0.55) == [Partial("one two")]
    assert flux.pending == "one two"
    flux.connected(2.0)
    assert flux.receive(turn("Update", "three", 0.5), 2.5) == [Partial("one two three")]
    assert flux.deadline is None
    assert flux.receive(turn("EagerEndOfTurn", "three.", 0.6), 2.6) == [Eager("one two three.")]
    assert texts(flux.receive(turn("EndOfTurn", "three.", 0.8), 2.8)) == ["one two three."]
    assert flux.pending == ""


def test_words_that_are_settled_do_not_wait_for_ever_for_the_rest_of_their_turn() -> None:
    flux = connected_flux("one two")
    assert flux.deadline == SALVAGED_S
    flux.receive(turn("Update", "", 0.5), 0.5)
    assert flux.tick(2.999) == []
    assert flux.tick(3.0) == [Final("one two", None, "silence")]
    assert flux.deadline is None


def test_without_a_connection_nothing_is_heard_and_nobody_is_asked() -> None:
    flux = FluxEndpointing()
    assert flux.receive(turn("EndOfTurn", "late", 1.0), 1.0) == []
    assert flux.finish(1.0, 0.0) == []
    assert (flux.tick(9.0), flux.deadline) == ([], None)


# --- the end ----------------------------------------------------------------------------------------------------


def test_at_the_end_what_there_is_becomes_final() -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "Thanks, bye.", 1.0), 1.0)
    assert flux.conclude() == [Final("Thanks, bye.", 0.5, "concluded")]
    assert flux.conclude() == []


def test_at_the_end_words_that_nobody_will_hear_again_are_not_lost() -> None:
    flux = connected_flux()
    flux.receive(turn("Update", "Thanks, bye.", 1.0), 1.0)
    flux.disconnected()
    assert texts(flux.conclude()) == ["Thanks, bye."]


def test_its_state_is_readable() -> None:
    flux = connected_flux()
    flux.finish(0.0, 1.0)
    assert repr(flux) == "<FluxEndpointing connected covered 0.000 s, waits for tail>"
