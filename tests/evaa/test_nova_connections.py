"""What Nova's endpointing keeps and takes back when a connection is lost, and what it says at the end."""

from evaa.stt.nova_endpointing import SILENCE_S, NovaEndpointing
from protocols.deepgram_messages import UtteranceEnd
from protocols.speech import AskToFinish, Final, Partial
from tests.evaa.deepgram_builders import connected_nova, ended, results, settled, texts

# --- connections ------------------------------------------------------------------------------------------------


def test_a_lost_connection_takes_back_the_interim_and_keeps_what_is_settled() -> None:
    nova = connected_nova()
    nova.receive(settled("We had", 0.0, 1.0), 1.0)
    nova.receive(results("twenty", 1.0, 2.0), 2.0)
    assert nova.disconnected() == [Partial("We had")]
    assert (nova.pending, nova.covered_s, nova.deadline) == ("We had", 1.0, None)
    nova.connected(5.0)
    assert (nova.covered_s, nova.deadline) == (0.0, 5.0 + SILENCE_S)
    assert nova.receive(results("twenty", 0.0, 1.0), 5.5) == [Partial("We had twenty")]
    assert nova.receive(ended("twenty.", 0.0, 1.0), 6.0) == [Final("We had twenty.", 0.2, "speech_final")]


def test_places_on_the_clock_of_a_lost_connection_are_forgotten() -> None:
    nova = connected_nova()
    nova.receive(results("one two three", 9.0, 10.0), 1.0)
    nova.receive(UtteranceEnd(9.8), 1.5)
    nova.disconnected()
    nova.connected(2.0)
    assert nova.receive(results("four", 0.0, 1.0), 3.0) == [Partial("four")]
    assert texts(nova.receive(UtteranceEnd(0.2), 3.5)) == ["four"]


def test_what_was_taken_back_is_not_said_by_the_next_connection() -> None:
    nova = connected_nova()
    nova.receive(results("twenty", 0.0, 1.0), 1.0)
    nova.disconnected()
    nova.connected(2.0)
    assert nova.deadline is None
    assert nova.conclude() == []


def test_nothing_that_was_shown_needs_no_taking_back() -> None:
    nova = connected_nova()
    assert nova.disconnected() == []
    nova.connected(1.0)
    nova.receive(settled("We", 0.0, 1.0), 2.0)
    assert nova.disconnected() == []


def test_words_whose_audio_is_forgotten_are_settled() -> None:
    nova = connected_nova()
    nova.receive(results("one two three", 0.0, 1.0), 1.0)
    assert nova.disconnected(0.55) == [Partial("one two")]
    assert nova.pending == "one two"
    nova.connected(2.0)
    assert texts(nova.receive(ended("three.", 0.0, 0.5), 2.5)) == ["one two three."]


def test_without_a_connection_nothing_is_heard_and_nobody_is_asked() -> None:
    nova = NovaEndpointing("We had")
    assert nova.receive(ended("late", 0.0, 1.0), 1.0) == []
    assert nova.finish(1.0, 0.0) == []
    assert (nova.tick(9.0), nova.deadline, nova.pending) == ([], None, "We had")


def test_an_end_that_was_asked_for_over_a_lost_connection_comes_by_silence() -> None:
    nova = connected_nova()
    nova.receive(settled("We had", 0.0, 1.0), 1.0)
    nova.finish(1.1, 1.1)
    nova.disconnected()
    nova.connected(2.0)
    assert nova.tick(3.75) == [AskToFinish()]
    assert nova.tick(4.5) == [Final("We had", None, "silence")]


def test_a_restarted_recogniser_goes_on_with_what_is_pending() -> None:
    nova = connected_nova("We had")
    assert nova.receive(UtteranceEnd(-1.0), 0.1) == []
    assert texts(nova.receive(ended("none.", 0.0, 1.0), 1.0)) == ["We had none."]


# --- the end ----------------------------------------------------------------------------------------------------


def test_at_the_end_what_there_is_becomes_final() -> None:
    nova = connected_nova()
    nova.receive(settled("Thank you,", 0.0, 1.0), 1.0)
    nova.receive(results("goodbye", 1.0, 2.0), 2.0)
    assert nova.conclude() == [Final("Thank you, goodbye", 1.2, "concluded")]
    assert nova.conclude() == []
    assert nova.deadline is None


def test_at_the_end_words_that_nobody_will_hear_again_are_not_lost() -> None:
    nova = connected_nova()
    nova.receive(settled("Thank you,", 0.0, 1.0), 1.0)
    nova.receive(results("goodbye", 1.0, 2.0), 2.0)
    nova.disconnected()
    assert texts(nova.conclude()) == ["Thank you, goodbye"]


def test_its_state_is_readable() -> None:
    nova = connected_nova()
    nova.finish(0.0, 0.0)
    assert repr(nova) == "<NovaEndpointing connected covered 0.000 s, waits for finalize_timeout>"
