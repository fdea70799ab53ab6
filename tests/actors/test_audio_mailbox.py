"""The STT actor's mailbox, fed with recordings as browsers cut them."""

from collections.abc import Iterable, Sequence

import msgspec
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.audio_mailbox import STT_UNAVAILABLE, AudioMailbox
from evaa.stt.deepgram_nova import DeepgramNova
from evaa.stt.kept_audio import KeptAudio
from evaa.stt.uplink import Uplink
from protocols.frontend import AudioFormat, FrameRefused
from tests.evaa.recordings import OPUS_20_MS, WEBM, chunks, decoded, ogg_page, pages, recording

UNHURRIED = msgspec.structs.replace(DeepgramNova.traits, rate=1e9)
WEBM_FORMAT = AudioFormat(container="webm", codec="opus")
OGG_FORMAT = AudioFormat(container="ogg", codec="opus")
OPUS_FORMAT = AudioFormat(container="raw", codec="opus")
PCM_FORMAT = AudioFormat(container="raw", codec="linear16", sample_rate=16_000)


@pytest.fixture
async def mailbox(autojump_clock: MockClock) -> AudioMailbox:
    return AudioMailbox(is_open=True, audio=KeptAudio(max_s=120.0))


def sent(mailbox: AudioMailbox, *, heard_until_us: int = 0) -> bytes:
    """All that a connection gets which is opened now."""
    link = Uplink(mailbox.audio, UNHURRIED, heard_until_us=heard_until_us, now=0.0)
    messages = []
    while message := link.take(1e6):
        messages.append(message)
    assert link.skipped() == []
    return b"".join(messages)


def put_all(mailbox: AudioMailbox, pieces: Iterable[bytes]) -> list[FrameRefused]:
    """Put all the pieces; return what was refused, as the reader would tell it."""
    refusals = []
    for piece in pieces:
        try:
            assert mailbox.put(piece) == ()
        except FrameRefused as refused:
            refusals.append(refused)
    return refusals


def samples(data: bytes) -> int:
    return decoded(data, "webm").samples


# --- recordings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WEBM)
async def test_a_connection_from_the_beginning_gets_the_file(
    mailbox: AudioMailbox, autojump_clock: MockClock, name: str
) -> None:
    assert put_all(mailbox, chunks(name)) == []
    data = sent(mailbox)
    assert recording(f"{name}.webm").startswith(data)
    assert samples(data) == samples(recording(f"{name}.webm"))


async def test_a_connection_gets_each_chunk_up_to_its_last_whole_packet(
    mailbox: AudioMailbox, autojump_clock: MockClock
) -> None:
    cut = chunks("b_long_pause")[:20]
    link: Uplink | None = None
    data, came = b"", b""
    for chunk in cut:
        assert mailbox.put(chunk) == ()
        came += chunk
        link = link or Uplink(mailbox.audio, UNHURRIED, heard_until_us=0, now=0.0)
        data += link.take(1.0)
        assert not link.is_behind
        assert came.startswith(data)
        assert came[len(data) :][:1] in (b"", b"\xa3"), "what is left begins with a block"
        assert len(came) - len(data) < 1_000


async def test_ogg_is_passed_on_as_it_came(mailbox: AudioMailbox, autojump_clock: MockClock) -> None:
    data = recording("c_yes.ogg")
    assert put_all(mailbox, [data[at : at + 700] for at in range(0, len(data), 700)]) == []
    assert sent(mailbox) == data


async def test_raw_audio_is_passed_on_as_it_came(mailbox: AudioMailbox, autojump_clock: MockClock) -> None:
    mailbox.declare(PCM_FORMAT, None)
    data = recording("c_yes.s16le")
    assert put_all(mailbox, [data[at : at + 3_201] for at in range(0, len(data), 3_201)]) == []
    assert sent(mailbox) == data


async def test_another_connection_hears_what_is_not_covered(mailbox: AudioMailbox, autojump_clock: MockClock) -> None:
    put_all(mailbox, chunks("c_yes"))
    mailbox.audio.cover(600_000)
    data = sent(mailbox, heard_until_us=600_000)
    assert samples(data) == (mailbox.audio.end_us - 600_000) * 48 // 1_000


async def test_a_second_recording_is_for_another_connection(mailbox: AudioMailbox, autojump_clock: MockClock) -> None:
    first, second = chunks("c_yes"), chunks("x_firefox")
    assert put_all(mailbox, [*first[:-1], *second]) == [], "the last block is left incomplete when a browser stops"
    data = sent(mailbox)
    assert recording("c_yes.webm").startswith(data)
    mailbox.audio.cover(mailbox.audio.end_us - _duration_us(second))
    assert len(mailbox.audio.recordings) == 1
    assert sent(mailbox, heard_until_us=mailbox.audio.start_us) == recording("x_firefox.webm")


def _duration_us(pieces: Sequence[bytes]) -> int:
    alone = AudioMailbox(is_open=True, audio=KeptAudio(max_s=120.0))
    put_all(alone, pieces)
    return alone.audio.end_us


async def test_two_recordings_in_one_chunk_are_kept_apart(mailbox: AudioMailbox, autojump_clock: MockClock) -> None:
    put_all(mailbox, [recording("c_yes.ogg") + recording("d_late.ogg")])
    assert [one.first for one in mailbox.audio.recordings] == [0, mailbox.audio.recordings[0].end]
    assert sent(mailbox) == recording("c_yes.ogg")
    mailbox.audio.cover(mailbox.audio.end_us - _duration_us([recording("d_late.ogg")]))
    assert sent(mailbox, heard_until_us=mailbox.audio.start_us) == recording("d_late.ogg")


async def test_an_empty_chunk_is_nothing(mailbox: AudioMailbox, autojump_clock: MockClock) -> None:
    for piece in (b"", *chunks("c_yes")[:5]):
        mailbox.put(piece)
    at = mailbox.last_chunk_at
    await trio.sleep(1.0)
    assert mailbox.put(b"") == ()
    assert mailbox.last_chunk_at == at


async def test_it_knows_when_audio_came(mailbox: AudioMailbox, autojump_clock: MockClock) -> None:
    mailbox.declare(OPUS_FORMAT, None)
    for _ in range(3):
        await trio.sleep(0.02)
        mailbox.put(OPUS_20_MS)
    now = trio.current_time()
    assert mailbox.last_chunk_at == now
    assert mailbox.audio.last_chunk_us == 20_000
    assert mailbox.audio.arrived_at(60_000) == now
    assert mailbox.audio.arrived_at(40_000) == pytest.approx(now - 0.02)


# --- damage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [slice(8, 9), slice(8, 12)])
async def test_damage_is_told_once_and_costs_only_what_is_damaged(
    mailbox: AudioMailbox, autojump_clock: MockClock, lost: slice
) -> None:
    cut = chunks("a_dental")
    garbage = [bytes(len(chunk)) for chunk in cut[lost]]
    (refused,) = put_all(mailbox, [*cut[: lost.start], *garbage, *cut[lost.stop :]])
    assert refused.code == "bad_audio"
    assert "the recording is damaged" in str(refused)
    whole = samples(recording("a_dental.webm"))
    damaged_us = len(garbage) * 120_000
    assert whole - (damaged_us + 240_000) * 48 // 1_000 <= samples(sent(mailbox)) < whole


async def test_damage_and_what_is_missing_behind_it_are_told_together(
    mailbox: AudioMailbox, autojump_clock: MockClock
) -> None:
    took = pages(recording("c_yes.ogg"))
    spoilt = b"".join([*took[:4], took[4][:-1], *took[5:]])
    with pytest.raises(FrameRefused, match=r"no intact Ogg page; page \d+ is missing$"):
        mailbox.put(spoilt)
    kept = sent(mailbox)
    assert kept == b"".join([*took[:4], *took[5:]])


async def test_what_is_missing_is_told_by_the_chunk_after_it(mailbox: AudioMailbox, autojump_clock: MockClock) -> None:
    took = pages(recording("c_yes.ogg"))
    assert mailbox.put(b"".join(took[:4])) == ()
    (missing,) = mailbox.put(b"".join(took[6:]))
    assert missing == "pages 4 to 5 are missing"


async def test_what_comes_before_damage_in_the_same_chunk_is_kept(
    mailbox: AudioMailbox, autojump_clock: MockClock
) -> None:
    took = pages(recording("c_yes.ogg"))
    with pytest.raises(FrameRefused):
        mailbox.put(b"".join(took[:4]) + bytes(100) + took[4])
    assert sent(mailbox) == b"".join(took[:5])


async def test_of_several_damages_in_a_chunk_the_first_is_told(
    mailbox: AudioMailbox, autojump_clock: MockClock
) -> None:
    took = pages(recording("c_yes.ogg"))
    stranger = ogg_page([len(OPUS_20_MS)], OPUS_20_MS, sequence=1, serial=9)
    with pytest.raises(FrameRefused, match=r"no intact Ogg page$"):
        mailbox.put(b"".join([*took[:4], bytes(100), took[4], stranger]))
    assert sent(mailbox) == b"".join(took[:5])


async def test_what_is_no_audio_is_refused_once_until_audio_comes(
    mailbox: AudioMailbox, autojump_clock: MockClock
) -> None:
    mp4 = bytes.fromhex("0000001c") + b"ftypiso5" + bytes(100)
    (refused,) = put_all(mailbox, [mp4, mp4, b"more of it"])
    assert refused.code == "bad_audio"
    assert "MP4" in str(refused)
    assert not mailbox.has_unheard
    assert put_all(mailbox, chunks("c_yes")) == []
    (refused,) = put_all(mailbox, [bytes(2_000), bytes(2_000)])
    assert "damaged" in str(refused)
    assert recording("c_yes.webm").startswith(sent(mailbox))


async def test_a_chunk_that_is_no_opus_packet_costs_only_itself(
    mailbox: AudioMailbox, autojump_clock: MockClock
) -> None:
    mailbox.declare(OPUS_FORMAT, None)
    refusals = put_all(mailbox, [OPUS_20_MS, b"\x03", OPUS_20_MS])
    assert [refused.code for refused in refusals] == ["bad_audio"]
    assert sent(mailbox) == OPUS_20_MS * 2


# --- no recogniser ----------------------------------------------------------------------------------------------


def refused_once(mailbox: AudioMailbox) -> None:
    with pytest.raises(FrameRefused) as refused:
        mailbox.put(b"audio")
    assert (refused.value.code, str(refused.value)) == ("stt_unavailable", STT_UNAVAILABLE)


async def test_without_a_recogniser_audio_is_refused_once(autojump_clock: MockClock) -> None:
    mailbox = AudioMailbox(is_open=False)
    refused_once(mailbox)
    assert mailbox.put(b"audio") == ()
    mailbox.finish()
    assert not mailbox.has_unheard


async def test_without_a_recogniser_the_end_of_speech_is_refused_once(autojump_clock: MockClock) -> None:
    mailbox = AudioMailbox(is_open=False)
    with pytest.raises(FrameRefused, match=STT_UNAVAILABLE):
        mailbox.finish()
    mailbox.finish()
    assert mailbox.put(b"audio") == ()


async def test_without_a_recogniser_who_was_told_at_the_declaration_knows(autojump_clock: MockClock) -> None:
    mailbox = AudioMailbox(is_open=False)
    with pytest.raises(FrameRefused, match=STT_UNAVAILABLE) as refused:
        mailbox.declare(WEBM_FORMAT, None)
    assert refused.value.code == "stt_unavailable"
    assert not mailbox.wants_connection
    assert mailbox.put(b"audio") == ()
    mailbox.finish()


async def test_who_shuts_it_has_told_and_nothing_is_kept(mailbox: AudioMailbox, autojump_clock: MockClock) -> None:
    put_all(mailbox, chunks("c_yes"))
    mailbox.finish()
    mailbox.pending = "what was said"
    mailbox.shut()
    assert not mailbox.is_open
    assert not mailbox.has_unheard
    assert mailbox.pending == ""
    assert mailbox.audio.finish_from(0) is None
    assert put_all(mailbox, chunks("c_yes")) == []
    mailbox.finish()
    assert not mailbox.has_unheard


# --- who waits --------------------------------------------------------------------------------------------------


async def test_whoever_waits_is_woken_by_what_matters(
    mailbox: AudioMailbox, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    woken = 0

    async def wait() -> None:
        nonlocal woken
        while True:
            await mailbox.wait()
            woken += 1

    async def wakes(times: int = 2) -> bool:
        nonlocal woken
        await trio.testing.wait_all_tasks_blocked()
        now, woken = woken, 0
        assert now in (0, times), "all who wait are woken, or none"
        return bool(now)

    nursery.start_soon(wait)
    nursery.start_soon(wait)
    await wakes()
    header, first = recording("c_yes.webm")[:170], recording("c_yes.webm")[170:700]
    mailbox.put(header[:20])
    assert not await wakes()
    mailbox.put(header[20:] + first)
    assert await wakes()
    mailbox.put(b"")
    assert not await wakes()
    mailbox.put(header)
    assert await wakes(), "another recording is another connection's"
    for change in (mailbox.finish, mailbox.wake, mailbox.close, lambda: mailbox.declare(OGG_FORMAT, None)):
        change()
        assert await wakes()
    assert mailbox.is_closing


async def test_a_waiting_task_can_be_cancelled(mailbox: AudioMailbox, autojump_clock: MockClock) -> None:
    with trio.move_on_after(1.0) as scope:
        await mailbox.wait()
    assert scope.cancelled_caught
    mailbox.wake()
