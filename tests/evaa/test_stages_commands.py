from collections.abc import Sequence
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import cast

import msgspec
import pytest

from evaa.commands.arguments import parse_arguments
from evaa.commands.stages import export_stages, import_stages, list_stages, run_stages, store_stages
from evaa.interview.stages import MAX_BYTES, default_stages, format_stages, parse_stages
from evaa.storage.memory import MemoryStore
from protocols.ports import SessionStore, StoreError, StoreUnavailable
from protocols.records import Stage

OWN = (Stage("a" * 24, "Own [bold]stage[/bold]", "All of it", "Know all", order=7, opening="What is it?"),)


class StagesOnly:
    """The two methods of a store that these commands call."""

    def __init__(self, stages: tuple[Stage, ...] = (), *, away: bool = False) -> None:
        self.held = stages
        self.away = away
        self.is_unreadable = False

    async def stages(self) -> tuple[Stage, ...]:
        self.answer()
        if self.is_unreadable:
            raise StoreError("what is stored cannot be read (ValidationError)")
        return self.held

    async def replace_stages(self, stages: Sequence[Stage]) -> None:
        self.answer()
        self.held = tuple(stages)

    def answer(self) -> None:
        if self.away:
            raise StoreUnavailable("no answer in 5 s")


def store(stages: tuple[Stage, ...] = (), *, away: bool = False) -> tuple[StagesOnly, SessionStore]:
    fake = StagesOnly(stages, away=away)
    return fake, cast(SessionStore, fake)


@pytest.fixture
def out() -> StringIO:
    return StringIO()


@pytest.fixture
def err() -> StringIO:
    return StringIO()


async def test_list_shows_the_stored_stages_as_they_are_named(out: StringIO, err: StringIO) -> None:
    assert await list_stages(store(OWN)[1], out, err) == 0

    assert "The interview: 1 stage\n" in out.getvalue()
    assert "Own [bold]stage[/bold]" in out.getvalue()
    assert err.getvalue() == ""


async def test_list_shows_the_defaults_where_none_are_stored(out: StringIO, err: StringIO) -> None:
    assert await list_stages(store()[1], out, err) == 0

    assert all(stage.name in out.getvalue() for stage in default_stages())
    assert err.getvalue() == "No stages are stored yet; these are the defaults.\n"


@pytest.mark.parametrize("form", ["yaml", "json"])
async def test_export_writes_what_import_takes(form: str, out: StringIO, err: StringIO, tmp_path: Path) -> None:
    assert await export_stages(store(OWN)[1], "yaml" if form == "yaml" else "json", out, err) == 0
    file = tmp_path / "stages"
    file.write_text(out.getvalue(), "utf-8")
    fake, target = store()

    assert await import_stages(target, str(file), out, err) == 0
    assert fake.held == OWN
    assert err.getvalue() == ""


async def test_export_writes_the_defaults_where_none_are_stored(out: StringIO, err: StringIO) -> None:
    assert await export_stages(store()[1], "yaml", out, err) == 0

    assert parse_stages(out.getvalue()) == default_stages()
    assert "these are the defaults" in err.getvalue()


async def test_import_says_what_it_did(out: StringIO, err: StringIO, tmp_path: Path) -> None:
    file = tmp_path / "stages.yaml"
    file.write_text("\ufeff" + format_stages(OWN, "yaml"), "utf-8")

    assert await import_stages(store()[1], str(file), out, err) == 0
    assert out.getvalue() == "Imported 1 stage; new sessions begin with:\n  7. Own [bold]stage[/bold]\n"


async def test_import_takes_standard_input(out: StringIO, err: StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(format_stages(OWN, "json").encode())))
    fake, target = store()

    assert await import_stages(target, "-", out, err) == 0
    assert fake.held == OWN


async def test_a_bad_file_is_refused_whole(out: StringIO, err: StringIO, tmp_path: Path) -> None:
    fake, target = store(OWN)
    file = tmp_path / "bad.yaml"
    file.write_text(format_stages(default_stages(), "yaml").replace("order: 2", "order: two").replace("name:", "nam:"))

    assert await import_stages(target, str(file), out, err) == 1

    assert fake.held == OWN
    assert out.getvalue() == ""
    lines = err.getvalue().splitlines()
    assert lines[0] == f"{file} was refused, and nothing was changed:"
    assert "  stages[1].order: expected a whole number in plain digits, got text" in lines
    assert sum(line.endswith("did you mean name?") for line in lines) == 8


async def test_a_file_that_is_missing_too_long_or_no_text(out: StringIO, err: StringIO, tmp_path: Path) -> None:
    fake, target = store(OWN)
    (tmp_path / "long").write_text("ü" * MAX_BYTES, "utf-8")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    for name in ("missing", "long", "binary"):
        assert await import_stages(target, str(tmp_path / name), out, err) == 1

    assert fake.held == OWN
    assert "missing cannot be read: [Errno 2]" in err.getvalue()
    assert "the file: larger than 1 MiB" in err.getvalue()
    assert "binary cannot be read: 'utf-8' codec" in err.getvalue()


async def test_a_store_that_is_away_is_one_sentence(out: StringIO, err: StringIO, tmp_path: Path) -> None:
    file = tmp_path / "stages.yaml"
    file.write_text(format_stages(OWN, "yaml"), "utf-8")
    _, target = store(away=True)

    assert await list_stages(target, out, err) == 1
    assert await export_stages(target, "json", out, err) == 1
    assert await import_stages(target, str(file), out, err) == 1

    assert out.getvalue() == ""
    assert err.getvalue() == (
        "The stages cannot be read: no answer in 5 s\n" * 2 + "The stages were not imported: no answer in 5 s\n"
    )


async def test_stages_that_cannot_be_read_are_told_and_can_be_replaced(
    out: StringIO, err: StringIO, tmp_path: Path
) -> None:
    file = tmp_path / "stages.yaml"
    file.write_text(format_stages(OWN, "yaml"), "utf-8")
    fake, target = store(default_stages())
    fake.is_unreadable = True

    assert await list_stages(target, out, err) == 1
    assert await export_stages(target, "json", out, err) == 1
    assert out.getvalue() == ""
    assert (
        err.getvalue()
        == (
            "The stages cannot be read: what is stored cannot be read (ValidationError). "
            "`stages import FILE` replaces them.\n"
        )
        * 2
    )

    for now_ms in (None, 5):
        assert await import_stages(target, str(file), out, err, now_ms=now_ms) == 0
        assert fake.held == (msgspec.structs.replace(OWN[0], imposed_at_ms=now_ms or 0),)


# --- --now ----------------------------------------------------------------------------------------------------------

BOTH = (*OWN, Stage("b" * 24, "Other", "The rest", "Know it", order=8, opening="And?"))


async def imposed_at(target: SessionStore) -> list[int]:
    return [stage.imposed_at_ms for stage in await target.stages()]


async def test_now_imposes_all_stages_of_the_file(out: StringIO, err: StringIO, tmp_path: Path) -> None:
    target = MemoryStore()
    file = tmp_path / "stages.yaml"
    file.write_text(format_stages(BOTH, "yaml"), "utf-8")

    assert await import_stages(target, str(file), out, err, now_ms=1_000) == 0
    assert await target.stages() == tuple(msgspec.structs.replace(stage, imposed_at_ms=1_000) for stage in BOTH)
    assert out.getvalue() == (
        "Imported 2 stages; new sessions begin with, and running sessions get, where they have not reached a stage:\n"
        "  7. Own [bold]stage[/bold]\n  8. Other\n"
    )


async def test_what_is_imposed_is_newer_than_all_before_whatever_the_clock_says() -> None:
    target = MemoryStore()
    await store_stages(target, BOTH, now_ms=1_000)
    await store_stages(target, BOTH, now_ms=400)
    assert await imposed_at(target) == [1_001, 1_001]
    await store_stages(target, OWN, now_ms=2_000)
    assert await imposed_at(target) == [2_000]


async def test_without_now_only_a_stage_that_is_as_it_was_stays_imposed() -> None:
    target = MemoryStore()
    await store_stages(target, BOTH, now_ms=1_000)
    third = msgspec.structs.replace(BOTH[1], stage_id="c" * 24, order=9)
    await store_stages(target, (BOTH[0], msgspec.structs.replace(BOTH[1], goal="Know more"), third))
    assert await imposed_at(target) == [1_000, 0, 0]


async def test_a_file_says_nothing_of_when_its_stages_were_imposed(out: StringIO, err: StringIO) -> None:
    target = MemoryStore()
    await store_stages(target, OWN, now_ms=1_000)
    assert await export_stages(target, "json", out, err) == 0
    assert parse_stages(out.getvalue()) == OWN
    assert "1000" not in out.getvalue()


@pytest.mark.parametrize("arguments", [["--now"], []])
async def test_the_command_line_decides(out: StringIO, err: StringIO, tmp_path: Path, arguments: list[str]) -> None:
    target = MemoryStore()
    file = tmp_path / "stages.json"
    file.write_text(format_stages(OWN, "json"), "utf-8")
    parsed = parse_arguments(["stages", "import", str(file), *arguments], "")

    assert await run_stages(target, parsed, out, err) == 0
    (at_ms,) = await imposed_at(target)
    assert (at_ms > 1_700_000_000_000) is bool(arguments)
    assert ("running sessions" in out.getvalue()) is bool(arguments)
