"""The house's rules about its own code, read from the code: who imports whom, and what is not done anywhere."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STOREYS = ("run", "actors", "evaa", "protocols")
"""From the top: each imports only itself and those below. `settings` is read by the top alone."""

DOCUMENTS = (
    *("answers", "catalogue", "checking", "desk", "drafting", "figures", "identity", "placement", "questions"),
    *("scripted_review", "scripted_writer", "systems", "words"),
)
PURE = (
    "protocols",
    "evaa/interview",
    *(f"evaa/documents/{name}.py" for name in DOCUMENTS),
    "evaa/documents/n8n",
    "evaa/llm/control_lines.py",
    "evaa/llm/sse.py",
    "evaa/llm/prompt.py",
    "evaa/llm/scripted.py",
    "evaa/stt/containers",
    "evaa/stt/kept_audio.py",
    "evaa/stt/uplink.py",
    "evaa/stt/redial.py",
    "evaa/stt/spoken.py",
    "evaa/stt/nova_endpointing.py",
    "evaa/stt/flux_endpointing.py",
)
PURE_IMPORTS = {
    "base64", "binascii", "bisect", "codecs", "collections", "contextlib", "dataclasses", "difflib", "enum",
    "functools", "hashlib", "importlib", "itertools", "json", "math", "re", "struct", "typing", "unicodedata",
    "urllib", "zlib", "msgspec", "pydantic_core", "yaml",
    "protocols",
}  # fmt: skip
"""All that pure code may need: no clock, no file, no network, no event loop, no chance."""

OWN_PURE = {
    "evaa.interview", "evaa.documents", "evaa.llm.control_lines", "evaa.llm.exchange",
    "evaa.stt.containers", "evaa.stt.kept_audio", "evaa.stt.spoken",
}  # fmt: skip
"""The parts of EVAA that pure code may import: only what is pure itself."""

READS_PACKAGE_DATA = "importlib.resources"
SPELLS_URLS = "urllib.parse"


def files(*places: str) -> list[Path]:
    found = [path for place in places for path in _under(ROOT / place)]
    assert found
    return found


def _under(place: Path) -> list[Path]:
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]


PRODUCT = files("run.py", "settings.py", "actors", "evaa", "protocols")
TESTS = files("tests")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def imports(path: Path) -> Iterator[str]:
    """The full names of all that a file imports, wherever in it; `from a import b` counts as `a.b`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top(module: str) -> str:
    return module.partition(".")[0]


def calls(path: Path) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def place(path: Path, node: ast.expr | ast.excepthandler) -> str:
    return f"{name_of(path)}:{node.lineno}"


# --- direction --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", files("actors", "evaa", "protocols"), ids=name_of)
def test_imports_run_one_way(path: Path) -> None:
    own = STOREYS.index(path.relative_to(ROOT).parts[0])
    forbidden = {*STOREYS[:own], "settings", "tests", "benchmarks"}
    if name_of(path).startswith("evaa/commands/"):
        forbidden -= {"settings"}  # the commands are the rest of run.py
    assert [module for module in imports(path) if top(module) in forbidden] == []


def test_the_top_does_not_reach_into_the_tests() -> None:
    for path in files("run.py", "settings.py"):
        assert not {top(module) for module in imports(path)} & {"tests", "benchmarks"}


def test_settings_import_nothing_of_the_house() -> None:
    assert not {top(module) for module in imports(ROOT / "settings.py")} & {"run", "actors", "evaa"}


# --- what only some may know ------------------------------------------------------------------------------------


def test_asyncio_is_known_in_one_place() -> None:
    knowing = {
        name_of(path) for path in PRODUCT for module in imports(path) if top(module) in ("asyncio", "trio_asyncio")
    }
    assert knowing == {"evaa/asyncio_bridge.py"}


@pytest.mark.parametrize("path", files(*PURE), ids=name_of)
def test_pure_code_imports_nothing_that_does_anything(path: Path) -> None:
    modules = set(imports(path))
    assert {top(module) for module in modules} <= PURE_IMPORTS | {"evaa"}
    evaa = {module for module in modules if top(module) == "evaa"}
    assert [module for module in evaa if not any(module.startswith(own) for own in OWN_PURE)] == []
    if any(module.startswith("importlib") for module in modules):
        assert {module for module in modules if module.startswith("importlib")} <= {
            READS_PACKAGE_DATA,
            f"{READS_PACKAGE_DATA}.files",
        }
    assert all(module.startswith(SPELLS_URLS) for module in modules if top(module) == "urllib")


@pytest.mark.parametrize("path", files(*PURE), ids=name_of)
def test_pure_code_neither_waits_nor_opens_files(path: Path) -> None:
    assert [place(path, call) for call, name in calls(path) if name in ("open", "print", "input")] == []
    asynchronous = [node.name for node in ast.walk(tree(path)) if isinstance(node, ast.AsyncFunctionDef)]
    # Interfaces that are asynchronous, and those of their kind.
    ports = {"protocols/ports.py", "protocols/writing.py", "evaa/llm/scripted.py", "evaa/documents/scripted_writer.py"}
    assert asynchronous == [] or name_of(path) in ports
    assert not any(isinstance(node, ast.Await) for node in ast.walk(tree(path)))


# --- what is not done anywhere ----------------------------------------------------------------------------------


def caught(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"everything"}
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {ast.unparse(kind) for kind in kinds}


def test_only_the_supervisor_catches_whatever_may_come() -> None:
    broad = [
        place(path, node)
        for path in PRODUCT
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and caught(node) & {"everything", "Exception", "BaseException"}
        and not (name_of(path) == "actors/supervisor.py" and "everything" not in caught(node))
    ]
    assert broad == []


def test_no_channel_is_unbounded() -> None:
    opened = [
        (place(path, call), ast.unparse(call.args[0]) if call.args else "")
        for path in PRODUCT
        for call, name in calls(path)
        if "open_memory_channel" in name
    ]
    assert opened, "there are channels"
    assert [where for where, size in opened if not size or "inf" in size or "maxsize" in size] == []


def test_no_queue_of_another_kind_is_unbounded() -> None:
    queues = [
        place(path, call)
        for path in PRODUCT
        for call, name in calls(path)
        if name.split(".")[-1] in ("Queue", "SimpleQueue", "LifoQueue") and not call.args and not call.keywords
    ]
    assert queues == []


def test_nothing_sleeps_a_thread() -> None:
    """Neither the product, where it would stop the loop, nor the tests, where it would be a guess."""
    asleep = [place(path, call) for path in (*PRODUCT, *TESTS) for call, name in calls(path) if name == "time.sleep"]
    imported = [name_of(path) for path in (*PRODUCT, *TESTS) if "time.sleep" in set(imports(path))]
    assert asleep + imported == []


def test_tests_sleep_only_on_a_virtual_clock() -> None:
    """`trio.sleep` in a test needs the test's `autojump_clock`; a sleep of 0 is a checkpoint, for ever is a hang-up."""
    real = []
    for path in TESTS:
        for function in _outermost_functions(tree(path)):
            names = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
            is_test = function.name.startswith("test_")
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                    "trio.sleep",
                    "asyncio.sleep",
                    "anyio.sleep",
                ):
                    is_checkpoint = bool(node.args) and ast.unparse(node.args[0]) == "0"
                    if is_test and not is_checkpoint and "autojump_clock" not in names:
                        real.append(place(path, node))
    assert real == []


def _outermost_functions(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.iter_child_nodes(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        elif isinstance(node, ast.ClassDef):
            yield from (child for child in node.body if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))


def test_no_test_file_is_too_long_to_read() -> None:
    assert {name_of(path): size for path in TESTS if (size := len(path.read_text("utf-8").splitlines())) >= 400} == {}


def test_the_standard_library_is_not_shadowed() -> None:
    names = {path.stem for path in PRODUCT if path.parent == ROOT} | {"actors", "evaa", "protocols", "tests"}
    assert not names & sys.stdlib_module_names
