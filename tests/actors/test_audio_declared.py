"""What a client declares about its audio, what then comes, and what a connection is opened with."""

import pytest
from trio.testing import MockClock

from actors.audio_mailbox import AudioMailbox
from protocols.frontend import AudioFormat, FrameRefused
from protocols.speech import SttRequest
from tests.actors.test_audio_mailbox import OGG_FORMAT, OPUS_FORMAT, PCM_FORMAT, WEBM_FORMAT, put_all, sent
from tests.evaa.recordings import OPUS_20_MS, chunks, recording


@pytest.fixture
async def mailbox(autojump_clock: MockClock) -> AudioMailbox:
    return AudioMailbox(is_open=True)


@pytest.mark.parametrize(
    ("declared", "request_"),
    [
        (WEBM_FORMAT, SttRequest(encoding="webm")),
        (OGG_FORMAT, SttRequest(encoding="ogg")),
        (OPUS_FORMAT, SttRequest(encoding="opus", sample_rate=48_000)),
        (AudioFormat("raw", "opus", 16_000, 1), SttRequest(encoding="opus", sample_rate=16_000)),
        (PCM_FORMAT, SttRequest(encoding="linear16", sample_rate=16_000)),
    ],
)
async def test_a_connection_can_be_opened_before_any_audio_comes(
    mailbox: AudioMailbox, autojump_clock: MockClock, declared: AudioFormat, request_: SttRequest
) -> None:
    mailbox.declare(declared, None)
    assert (mailbox.wants_connection, mailbox.has_unheard) == (True, False)
    assert mailbox.request(()) == request_
    if declared.container == "raw":
        mailbox.put(OPUS_20_MS)
        assert (mailbox.has_unheard, mailbox.request(())) == (True, request_), "what comes is what was declared"


async def test_a_request_tells_language_and_keyterms(mailbox: AudioMailbox, autojump_clock: MockClock) -> None:
    mailbox.declare(WEBM_FORMAT, "de-AT")
    assert mailbox.request(("Zapier",)) == SttRequest(encoding="webm", language="de-AT", keyterms=("Zapier",))


async def test_what_comes_counts_more_than_what_was_declared(mailbox: AudioMailbox, autojump_clock: MockClock) -> None:
    mailbox.declare(WEBM_FORMAT, None)
    mailbox.put(recording("c_yes.ogg"))
    assert mailbox.request(()).encoding == "ogg"
    mailbox.audio.cover(mailbox.audio.end_us)
    assert not mailbox.has_unheard
    assert mailbox.request(()).encoding == "ogg", "and goes on to"
    mailbox.declare(PCM_FORMAT, None)
    assert mailbox.request(()).encoding == "linear16"


async def test_a_request_is_for_the_oldest_recording_that_is_kept(
    mailbox: AudioMailbox, autojump_clock: MockClock
) -> None:
    put_all(mailbox, chunks("c_yes"))
    webm_us = mailbox.audio.end_us
    mailbox.put(recording("c_yes.ogg"))
    assert mailbox.request(()).encoding == "webm"
    mailbox.audio.cover(webm_us)
    assert mailbox.request(()).encoding == "ogg"


async def test_audio_needs_no_declaration(mailbox: AudioMailbox, autojump_clock: MockClock) -> None:
    put_all(mailbox, chunks("c_yes")[:3])
    assert not mailbox.wants_connection
    assert mailbox.request(()) == SttRequest(encoding="webm")


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        (AudioFormat("webm", "linear16"), "webm must carry opus here"),
        (AudioFormat("raw", "linear16"), "sampleRate of raw linear16 must be one of"),
        (AudioFormat("raw", "linear16", 16_000, 2), "raw audio must have 1 channel, not 2"),
    ],
)
@pytest.mark.parametrize("is_open", [True, False])
async def test_a_declaration_that_cannot_be_right_is_refused(
    autojump_clock: MockClock, declared: AudioFormat, why: str, is_open: bool
) -> None:
    mailbox = AudioMailbox(is_open=is_open)
    with pytest.raises(FrameRefused, match=why) as refused:
        mailbox.declare(declared, "en")
    assert refused.value.code == "bad_audio"
    assert not mailbox.wants_connection
    assert mailbox.declared is None


async def test_the_same_declaration_in_the_middle_does_no_harm(
    mailbox: AudioMailbox, autojump_clock: MockClock
) -> None:
    mailbox.declare(WEBM_FORMAT, None)
    cut = chunks("c_yes")
    put_all(mailbox, cut[:5])
    mailbox.declare(WEBM_FORMAT, "en")
    assert put_all(mailbox, cut[5:]) == []
    assert mailbox.request(()).language == "en"
    assert recording("c_yes.webm").startswith(sent(mailbox))


async def test_a_declaration_of_raw_audio_begins_a_recording(mailbox: AudioMailbox, autojump_clock: MockClock) -> None:
    for half in (b"\0", b""):
        mailbox.declare(PCM_FORMAT, None)
        mailbox.put(bytes(640) + half)
    assert [one.first for one in mailbox.audio.recordings] == [0, 1]
    assert len(sent(mailbox)) == 640


async def test_another_declaration_begins_anew(mailbox: AudioMailbox, autojump_clock: MockClock) -> None:
    mailbox.declare(OPUS_FORMAT, None)
    mailbox.put(OPUS_20_MS)
    mailbox.declare(WEBM_FORMAT, None)
    assert put_all(mailbox, chunks("c_yes")) == []
    assert [one.header.encoding for one in mailbox.audio.recordings] == ["opus", "webm"]
