import contextlib
import json
import struct
import wave
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evaa.commands.play import Chunk, Recording, RecordingRefused, plan, read_recording
from protocols.frontend import AudioFormat
from tests.evaa.recordings import AUDIO, OGG, WEBM, chunks, cluster, damage, damaged, pages, recording, webm_header

SECONDS = {"a_dental": 6.6, "b_long_pause": 22.98, "c_yes": 2.1, "d_late": 11.88, "x_firefox": 6.93}


def alone(tmp_path: Path, data: bytes, name: str = "recording") -> Path:
    """A file with nothing beside it."""
    path = tmp_path / name
    path.write_bytes(data)
    return path


def joined(some: Recording) -> bytes:
    return b"".join(chunk.data for chunk in some.chunks)


def times(some: Recording) -> list[float]:
    return [chunk.at_s for chunk in some.chunks]


def write_wave(path: Path, samples: bytes, rate: int = 16_000, channels: int = 1, sample_bytes: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(sample_bytes)
        file.setframerate(rate)
        file.writeframes(samples)
    return path


# --- as it was recorded -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WEBM)
def test_a_recording_with_a_list_of_chunks_is_played_exactly_so(name: str) -> None:
    played = read_recording(AUDIO / f"{name}.webm")

    suffix = "_webm" if name == "x_firefox" else ""
    listed = json.loads((AUDIO / f"{name}{suffix}.chunks.json").read_text("utf-8"))
    assert played.audio == AudioFormat("webm", "opus")
    assert [chunk.data for chunk in played.chunks] == chunks(name)
    assert times(played) == [one["t_ms"] / 1000 for one in listed]


def test_the_list_of_another_file_of_the_same_name_is_passed_over() -> None:
    played = read_recording(AUDIO / "a_dental.ogg")

    assert (AUDIO / "a_dental.chunks.json").exists()
    assert joined(played) == recording("a_dental.ogg")
    assert times(played)[:3] == [0.1, 0.2, 0.3]


def test_chunks_that_are_empty_are_played_too(tmp_path: Path) -> None:
    data = recording("c_yes.webm")
    listed = [{"t_ms": 5, "offset": 0, "size": 0}, {"t_ms": 5, "offset": 0, "size": len(data)}]
    (tmp_path / "x_webm.chunks.json").write_text(json.dumps(listed), "utf-8")

    played = read_recording(alone(tmp_path, data, "x.webm"))

    assert played.chunks == (Chunk(0.005, b""), Chunk(0.005, data))


# --- cut by the container's times -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WEBM)
def test_webm_is_cut_at_packets_when_their_audio_has_been_spoken(name: str, tmp_path: Path) -> None:
    played = read_recording(alone(tmp_path, recording(f"{name}.webm")))

    each_s = 0.1 if name == "x_firefox" else 0.12  # two packets of Chromium's 60 ms, five of Firefox's 20 ms
    assert played.audio == AudioFormat("webm", "opus")
    assert joined(played) == recording(f"{name}.webm")
    assert times(played)[:-1] == pytest.approx([each_s * n for n in range(1, len(played.chunks))])
    assert played.duration_s == pytest.approx(SECONDS[name], abs=0.02)


@pytest.mark.parametrize("name", OGG)
def test_ogg_is_cut_at_pages(name: str, tmp_path: Path) -> None:
    played = read_recording(alone(tmp_path, recording(f"{name}.ogg")))

    head, tags, first, *others = pages(recording(f"{name}.ogg"))
    assert played.audio == AudioFormat("ogg", "opus")
    assert [chunk.data for chunk in played.chunks] == [head + tags + first, *others]
    assert times(played)[:-1] == pytest.approx([0.1 * n for n in range(1, len(played.chunks))])
    assert played.duration_s == pytest.approx(SECONDS[name], abs=0.05)


def test_what_follows_the_last_packet_is_sent_too(tmp_path: Path) -> None:
    cut_off = recording("c_yes.webm")[:-7]  # the last block is incomplete
    played = read_recording(alone(tmp_path, cut_off))

    assert joined(played) == cut_off
    assert times(played)[-2:] == pytest.approx([2.04, 2.04])


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 44_100, 48_000])
def test_of_wave_the_samples_are_sent_and_declared(rate: int, tmp_path: Path) -> None:
    samples = bytes(n % 251 for n in range(rate // 2 + rate // 100 * 2))  # a quarter of a second, and 10 ms

    played = read_recording(write_wave(tmp_path / "x.wav", samples, rate))

    assert played.audio == AudioFormat("raw", "linear16", rate, 1)
    assert joined(played) == samples
    assert [len(chunk.data) for chunk in played.chunks[:-1]] == [rate // 10 * 2] * 2
    assert times(played) == pytest.approx([0.1, 0.2, 0.26])


def test_the_name_is_what_the_user_sees(tmp_path: Path) -> None:
    assert read_recording(AUDIO / "c_yes.webm").name == "c_yes.webm"


# --- what cannot be played --------------------------------------------------------------------------------------


def riff(*parts: tuple[bytes, bytes]) -> bytes:
    body = b"WAVE" + b"".join(name + struct.pack("<I", len(data)) + data for name, data in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


FLOAT_WAVE = riff((b"fmt ", struct.pack("<HHIIHH", 3, 1, 16_000, 64_000, 4, 32)), (b"data", bytes(64)))
MIDDLE = 60_000


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "it is neither WebM nor Ogg with Opus, nor a WAVE file"),
        (b"ID3\x04 some music", "it is neither WebM nor Ogg with Opus, nor a WAVE file"),
        (recording("a_dental.webm")[:MIDDLE] + b"damage" * 9 + recording("a_dental.webm")[MIDDLE:], "damaged"),
        (recording("a_dental.ogg")[:9000] + b"damage" + recording("a_dental.ogg")[9006:], "damaged"),
        (recording("a_dental.webm")[:146], "there is no audio in it"),
        (webm_header() + cluster(0), "there is no audio in it"),
        (recording("a_dental.ogg")[:120], "there is no audio in it"),
        (b"RIFF", "it is no WAVE file of PCM, or damaged (a size in it is wrong)"),
        (b"RIFF\x10\0\0\0AVI LIST", "it is no WAVE file of PCM, or damaged (not a WAVE file)"),
        (FLOAT_WAVE, "it is no WAVE file of PCM, or damaged (unknown format: 3)"),
    ],
    ids=["empty", "mp3", "webm", "ogg", "header", "empty cluster", "ogg header", "short", "avi", "float"],
)
def test_a_file_that_is_no_recording_is_refused_with_a_sentence(data: bytes, problem: str, tmp_path: Path) -> None:
    path = alone(tmp_path, data)

    with pytest.raises(RecordingRefused) as refused:
        read_recording(path)

    assert str(refused.value).startswith(f"{path} cannot be played: ")
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("rate", "channels", "sample_bytes", "problem"),
    [
        (16_000, 2, 2, "raw audio must have 1 channel, not 2"),
        (16_000, 1, 1, "its samples must have 16 bits, not 8"),
        (22_050, 1, 2, "sampleRate of raw linear16 must be one of 8000, 16000, 24000, 44100, 48000, not 22050"),
    ],
)
def test_other_wave_files_are_refused(
    rate: int, channels: int, sample_bytes: int, problem: str, tmp_path: Path
) -> None:
    path = write_wave(tmp_path / "x.wav", bytes(4800), rate, channels, sample_bytes)

    with pytest.raises(RecordingRefused, match=problem):
        read_recording(path)


def test_a_wave_file_that_breaks_off_is_refused(tmp_path: Path) -> None:
    whole = write_wave(tmp_path / "x.wav", bytes(4800)).read_bytes()

    with pytest.raises(RecordingRefused, match="it ends before its last sample"):
        read_recording(alone(tmp_path, whole[:-1]))
    with pytest.raises(RecordingRefused, match="there is no audio in it"):
        read_recording(write_wave(tmp_path / "empty.wav", b""))


@pytest.mark.parametrize("missing", ["nothing.webm", "."])
def test_a_file_that_cannot_be_read(missing: str, tmp_path: Path) -> None:
    with pytest.raises(RecordingRefused) as refused:
        read_recording(tmp_path / missing)

    assert str(refused.value).startswith(f"{tmp_path / missing} cannot be read: ")


SIZE = len(recording("c_yes.webm"))


@pytest.mark.parametrize(
    ("listed", "problem"),
    [
        ("{", "is no list of chunks ("),
        ('[{"t_ms": "soon", "offset": 0, "size": 1}]', "is no list of chunks ("),
        ("[]", "is no list of chunks that follow each other"),
        (json.dumps([{"t_ms": 1, "offset": 1, "size": SIZE - 1}]), "that follow each other"),
        (
            json.dumps([{"t_ms": 2, "offset": 0, "size": 1}, {"t_ms": 1, "offset": 1, "size": SIZE - 1}]),
            "that follow each other",
        ),
        (
            json.dumps([{"t_ms": 1, "offset": 0, "size": SIZE + 1}, {"t_ms": 1, "offset": SIZE + 1, "size": -1}]),
            "that follow each other",
        ),
        (json.dumps([{"t_ms": 1, "offset": 0, "size": SIZE - 1}]), "are those of a file of another size"),
    ],
)
def test_a_list_of_chunks_that_does_not_fit(listed: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "x_webm.chunks.json").write_text(listed, "utf-8")
    path = alone(tmp_path, recording("c_yes.webm"), "x.webm")

    with pytest.raises(RecordingRefused) as refused:
        read_recording(path)

    assert str(refused.value).startswith(f"{path} cannot be played: ")
    assert problem in str(refused.value)


# --- for all ----------------------------------------------------------------------------------------------------


@given(st.sampled_from(["c_yes.webm", "c_yes.ogg"]), damage)
def test_whatever_is_played_is_the_whole_file_in_order(name: str, harm: list[tuple[str, int, bytes]]) -> None:
    data = damaged(recording(name), harm)
    try:
        _, planned = plan(data)
    except RecordingRefused:
        return
    assert b"".join(chunk.data for chunk in planned) == data
    assert [chunk.at_s for chunk in planned] == sorted(chunk.at_s for chunk in planned)


@given(damage)
@example([("insert", 21, b"\0")])  # the format's size becomes too large
def test_no_wave_file_is_too_odd(harm: list[tuple[str, int, bytes]]) -> None:
    fine = riff((b"fmt ", struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)), (b"data", bytes(4000)))
    with contextlib.suppress(RecordingRefused):
        plan(damaged(fine, harm))
