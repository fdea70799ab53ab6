"""The logs: one JSON object a line, or text on a terminal, and never a library's own words."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from evaa.observability.logs import LogFormat, configure_logs

SECRET = "what the user said"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def configured(log_format: LogFormat = "json", level: str = "info", output: io.StringIO | None = None) -> io.StringIO:
    stream = output or io.StringIO()
    configure_logs(log_format, level, stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    text = stream.getvalue()
    assert text == "" or text.endswith("\n")
    return [msgspec.json.decode(line) for line in text.split("\n")[:-1]]


def test_a_line_is_one_json_object() -> None:
    stream = configured()
    log = structlog.get_logger(actor="agent", session_id="5e1a").bind(turn=3)
    log.info("turn.completed", total_ms=1.5, stage=None, texts=["a\nb\u2028c"])
    log.warning("store.retrying")
    first, second = lines(stream)
    at = datetime.fromisoformat(first.pop("timestamp"))
    assert at.tzinfo is not None
    assert first == {
        "event": "turn.completed",
        "level": "info",
        "actor": "agent",
        "session_id": "5e1a",
        "turn": 3,
        "total_ms": 1.5,
        "stage": None,
        "texts": ["a\nb\u2028c"],
    }
    assert (second["event"], second["level"]) == ("store.retrying", "warning")


def test_bound_context_is_part_of_every_line() -> None:
    stream = configured()
    with structlog.contextvars.bound_contextvars(session_id="5e1a"):
        structlog.get_logger().info("a")
    structlog.get_logger().info("b")
    first, second = lines(stream)
    assert first["session_id"] == "5e1a"
    assert "session_id" not in second


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Path("a"), repr(Path("a"))),
        (ValueError("x"), "ValueError('x')"),
        (float("nan"), None),
        (b"x", "eA=="),
        ({1: 2}, {"1": 2}),
        (2**70, 2**70),
    ],
)
def test_no_value_breaks_a_line(value: object, shown: object) -> None:
    stream = configured()
    structlog.get_logger().info("a", value=value)
    assert lines(stream)[0]["value"] == shown


@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1), ("ERROR", 1)])
def test_what_is_below_the_level_is_left_out(level: str, count: int) -> None:
    stream = configured(level=level)
    log = structlog.get_logger()
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)(name)
    assert [line["event"] for line in lines(stream)] == ["debug", "info", "warning", "error"][-count:]


def test_a_logger_made_before_the_configuration_follows_it() -> None:
    early = structlog.get_logger(actor="server")
    stream = configured(level="error")
    early.info("a")
    early.error("b")
    assert [line["event"] for line in lines(stream)] == ["b"]


def test_console_is_text_for_people() -> None:
    stream = configured("console")
    structlog.get_logger(actor="server").info("server.listening", port=8765)
    text = stream.getvalue()
    assert "server.listening" in text
    assert "port=8765" in text
    assert "\x1b" not in text
    assert not text.startswith("{")


def test_auto_is_console_on_a_terminal_and_json_elsewhere() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    configured("auto", output=terminal)
    structlog.get_logger().info("a")
    configured("auto", output=pipe)
    structlog.get_logger().info("b")
    assert "\x1b" in terminal.getvalue()
    assert lines(pipe)[0]["event"] == "b"


def test_the_default_is_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("auto", "info")
    structlog.get_logger().info("a")
    assert msgspec.json.decode(capsys.readouterr().out)["event"] == "a"


def _warn(log: logging.Logger) -> None:
    log.warning("quoting %s", SECRET)


def _fail(log: logging.Logger) -> None:
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.exception(SECRET, extra={"words": SECRET})


@pytest.mark.parametrize(("say", "severity"), [(_warn, "warning"), (_fail, "error")])
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_what_a_library_warns_of_comes_without_its_text(
    capsys: pytest.CaptureFixture[str],
    log_format: LogFormat,
    say: Callable[[logging.Logger], None],
    severity: str,
) -> None:
    stream = configured(log_format)
    say(logging.getLogger("some.library"))
    text = stream.getvalue()
    assert SECRET not in text
    assert all(word in text for word in ("library.warned", "some.library", severity))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize("level", ["debug", "info"])
def test_what_a_library_only_tells_is_left_out_at_every_level(level: str) -> None:
    stream = configured(level=level)
    logging.getLogger("some.library").info("quoting %s", SECRET)
    logging.getLogger("some.library").debug("quoting %s", SECRET)
    assert lines(stream) == []


def test_a_python_warning_comes_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        stream = configured()
        warnings.warn(SECRET, UserWarning, stacklevel=1)
        logging.captureWarnings(False)
    (line,) = lines(stream)
    assert (line["event"], line["library"]) == ("library.warned", "py.warnings")
    assert SECRET not in stream.getvalue() + capsys.readouterr().err
