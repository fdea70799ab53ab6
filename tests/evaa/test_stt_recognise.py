"""What a client sends is told by its first bytes, or by the client."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaa.stt.containers.events import Damage, Header, Packet
from evaa.stt.containers.recognise import AudioIntake, check_format
from protocols.frontend import AudioFormat
from tests.evaa.recordings import bytewise, chunks, cut, fed, headers, packets, places, raw, reasons, recording

WEBM = AudioFormat("webm", "opus")
RAW_OPUS = AudioFormat("raw", "opus")
PCM = AudioFormat("raw", "linear16", 16_000)
MP4 = b"\0\0\0\x1cftypiso5" + bytes(40)
WAVE = b"RIFF\x24\0\0\0WAVEfmt " + bytes(40)


# --- recognised -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", [None, WEBM, AudioFormat("ogg", "opus")])
@pytest.mark.parametrize("name", ["c_yes.webm", "c_yes.ogg"])
def test_the_first_bytes_count_and_not_what_was_declared(name: str, declared: AudioFormat | None) -> None:
    data = recording(name)
    events = fed(AudioIntake(declared), [b"", data[:1], data[1:3], b"", data[3:]])
    assert headers(events)[0].encoding == name.partition(".")[2]
    assert raw(events) == data


@given(st.sampled_from(["c_yes.webm", "c_yes.ogg"]), places)
@settings(deadline=None, max_examples=40)
def test_cut_anywhere(name: str, cuts: list[int]) -> None:
    data = recording(name)
    assert raw(fed(AudioIntake(), cut(data, cuts))) == data
    assert fed(AudioIntake(), bytewise(data[:400])) == AudioIntake().feed(data[:400])


def test_declared_raw_audio_is_not_looked_at() -> None:
    data = recording("c_yes.webm")[:100]
    assert fed(AudioIntake(PCM), [b"", data, b""]) == [
        Header("linear16", sample_rate=16_000),
        Packet(data, 0, 3125),
    ]


def test_raw_opus_has_48_khz_unless_declared_otherwise() -> None:
    assert AudioIntake(RAW_OPUS).feed(b"\x78x")[0] == Header("opus", sample_rate=48_000)
    assert AudioIntake(AudioFormat("raw", "opus", 16_000, 1)).feed(b"\x78x")[0] == Header("opus", sample_rate=16_000)


# --- refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (MP4, "MP4 audio (Safari's default) cannot be transcribed; record audio/webm;codecs=opus"),
        (WAVE, "declare container raw, codec linear16"),
        (b"ID3\4" + bytes(40), "neither WebM nor Ogg: send what MediaRecorder makes of audio/webm;codecs=opus"),
        (recording("c_yes.webm")[290:], "from its first chunk on"),
        (bytes(8), "neither WebM nor Ogg"),
    ],
)
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_what_is_not_understood_is_told_once_and_dropped(data: bytes, said: str, step: int) -> None:
    intake = AudioIntake()
    events = fed(intake, [*cut(data, range(0, len(data), step)), b"more", b"O", b"g", b"more"])
    (reason,) = reasons(events)
    assert said in reason
    assert len(events) == 1
    assert intake.pending_bytes == 0
    assert len(packets(fed(intake, chunks("c_yes")))) == 35


def test_another_recording_after_what_was_refused_may_begin_with_a_single_byte() -> None:
    data = recording("c_yes.webm")
    intake = AudioIntake()
    assert len(intake.feed(MP4)) == 1
    assert raw(fed(intake, [data[:1], data[1:]])) == data


def test_a_recording_may_begin_behind_a_byte_that_led_nowhere() -> None:
    data = recording("c_yes.webm")
    assert raw(fed(AudioIntake(), [b"O", data])) == data


# --- another recording ------------------------------------------------------------------------------------------


def test_a_recording_that_breaks_off_is_followed_by_another() -> None:
    """The incomplete block is no damage: no more of it was ever to come."""
    one, two = recording("x_firefox.webm"), recording("c_yes.webm")
    events = fed(AudioIntake(), [one[:5000], two])
    assert not any(isinstance(event, Damage) for event in events)
    assert [len(header.raw) for header in headers(events)] == [260, 146]
    assert raw(events).endswith(two)


@pytest.mark.parametrize(("one", "two"), [("c_yes.webm", "c_yes.ogg"), ("c_yes.ogg", "c_yes.webm")])
def test_the_container_may_change_with_the_recording(one: str, two: str) -> None:
    events = fed(AudioIntake(), [recording(one)[:1000], recording(two)])
    assert len(headers(events)) == 2
    assert raw(events).endswith(recording(two))


# --- what is declared -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "declared",
    [
        WEBM,
        AudioFormat("ogg", "opus", 48_000, 2),
        RAW_OPUS,
        AudioFormat("raw", "opus", 16_000),
        PCM,
        AudioFormat("raw", "linear16", 44_100, 1),
    ],
)
def test_formats_that_make_sense(declared: AudioFormat) -> None:
    assert check_format(declared) is None
    AudioIntake(declared)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (AudioFormat("webm", "linear16"), "webm must carry opus here; send linear16 with container raw"),
        (AudioFormat("ogg", "linear16", 16_000), "ogg must carry opus"),
        (AudioFormat("raw", "linear16"), "8000, 16000, 24000, 44100, 48000, not none"),
        (AudioFormat("raw", "linear16", 12_000), "44100, 48000, not 12000"),
        (AudioFormat("raw", "linear16", 0), "not 0"),
        (AudioFormat("raw", "opus", 44_100), "8000, 16000, 24000, 48000, not 44100"),
        (AudioFormat("raw", "opus", 0), "not 0"),
        (AudioFormat("raw", "linear16", 16_000, 2), "1 channel, not 2"),
        (AudioFormat("raw", "opus", channels=0), "1 channel, not 0"),
    ],
)
def test_formats_that_make_no_sense(declared: AudioFormat, said: str) -> None:
    problem = check_format(declared)
    assert problem is not None
    assert said in problem
    with pytest.raises(ValueError, match=r"must"):
        AudioIntake(declared)


# --- anything ---------------------------------------------------------------------------------------------------


@given(
    st.sampled_from([None, WEBM, RAW_OPUS, PCM]),
    st.lists(st.binary(max_size=200) | st.sampled_from([MP4, WAVE, b"OggS", recording("c_yes.webm")[:400]])),
)
@settings(deadline=None, max_examples=150)
def test_garbage(declared: AudioFormat | None, pieces: list[bytes]) -> None:
    intake = AudioIntake(declared)
    fed(intake, pieces)
    assert intake.pending_bytes <= len(b"".join(pieces))
