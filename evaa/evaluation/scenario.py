"""Scenarios as people write them: who is interviewed, what they know, and how one sees that it arrived. Pure.

A scenario file is YAML: a mapping whose only key `scenarios` holds a list. It is read strictly: an unknown key, one
that is given twice, or anything that makes no sense refuses the file, with its place. Every scalar is text, so that
YAML guesses nothing.
"""

import functools
import importlib.resources
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NoReturn, TypeVar

import msgspec
import yaml

from evaa.documents.catalogue import BY_KEY
from evaa.evaluation.recognition import Said

Manner = Literal["plain", "terse", "talkative", "unsure", "nonNative"]
Meaning = Literal["confirm", "correct", "other"]

OPENING = "opening"
"""The id of the fact that the user begins with."""

OPENING_TOPIC = "goal"

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_T = TypeVar("_T")


class ScenariosRefused(ValueError):
    """A scenario file that cannot be taken. `problems` lists what is wrong, each line beginning with its place."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Base of all that is read from a scenario file."""


class Topic(_Strict, frozen=True):
    """What people are asked about: the key words of such questions, and the sections where the answers belong."""

    about: tuple[str, ...]
    sections: tuple[str, ...]


class Fact(_Strict, frozen=True):
    """One thing that the user knows.

    `says` is how they put it. A question that touches `about`, or the key words of the `topic`, brings it out; a phrase
    is touched when all its words are. `check` is how the fact is recognised in an entry: every item must be there, an
    item being alternatives between `|`; a figure counts in digits or in words. `sections` is where it belongs, by
    default where the topic does. A fact that `corrects` another is told unasked, in the answer after that other.
    """

    id: str
    says: str
    check: tuple[str, ...]
    topic: str = ""
    about: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    corrects: str = ""


class Opening(_Strict, frozen=True):
    """What the user says first."""

    says: str
    check: tuple[str, ...]
    sections: tuple[str, ...] = ()


class Reaction(_Strict, frozen=True):
    """What the user says of the finished document, and means by it.

    `check` is what a corrected version must hold, in place of the fact that it `corrects`, if it does.
    """

    says: str
    means: Meaning
    check: tuple[str, ...] = ()
    corrects: str = ""


class Scenario(_Strict, frozen=True):
    """One person with their work. `unwanted` are strings that may not be in the document, though the user says them."""

    name: str
    trade: str
    person: str
    opening: Opening
    facts: tuple[Fact, ...]
    manner: Manner = "plain"
    unwanted: tuple[str, ...] = ()
    reaction: Reaction | None = None

    @property
    def known(self) -> tuple[Fact, ...]:
        """All that the user can tell; the opening is the first."""
        first = Fact(id=OPENING, topic=OPENING_TOPIC, **msgspec.structs.asdict(self.opening))
        return (first, *self.facts)


class _File(_Strict, frozen=True):
    scenarios: tuple[Scenario, ...]


@functools.cache
def topics() -> dict[str, Topic]:
    """The topics that facts can name."""
    text = importlib.resources.files(__package__).joinpath("topics.yaml").read_text("utf-8")
    return _convert(_load(text, "topics.yaml"), dict[str, Topic], "topics.yaml")


def terms_of(fact: Fact) -> tuple[str, ...]:
    """The key words that bring a fact out."""
    return (*fact.about, *(topics()[fact.topic].about if fact.topic else ()))


def sections_of(fact: Fact) -> tuple[str, ...]:
    """The keys of the sections where a fact belongs."""
    return fact.sections or (topics()[fact.topic].sections if fact.topic else ())


@functools.cache
def shipped_scenarios() -> tuple[Scenario, ...]:
    """The scenarios that EVAA comes with."""
    folder = importlib.resources.files(__package__).joinpath("scenarios")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    return merged([parse_scenarios(file.read_text("utf-8"), file.name) for file in files])


def merged(files: Sequence[Sequence[Scenario]]) -> tuple[Scenario, ...]:
    """The scenarios of several files. Raises `ScenariosRefused` where two have the same name."""
    scenarios = tuple(scenario for file in files for scenario in file)
    names = [scenario.name for scenario in scenarios]
    if twice := _twice(names):
        raise ScenariosRefused([f"the name {name}: more than one scenario has it" for name in twice])
    return scenarios


def parse_scenarios(text: str, source: str) -> tuple[Scenario, ...]:
    """Return the scenarios of a file, `source` being its name. Raises `ScenariosRefused` and nothing else."""
    scenarios = _convert(_load(text, source), _File, source).scenarios
    problems = [
        f"{source}: scenarios[{index}]{place}"
        for index, scenario in enumerate(scenarios)
        for place in _problems(scenario)
    ]
    if not scenarios:
        problems.append(f"{source}: scenarios: there is none")
    if problems:
        raise ScenariosRefused(problems)
    return merged([scenarios])


# --- from text to values ------------------------------------------------------------------------------------------


class _Loader(yaml.BaseLoader):
    """Every scalar is text; a key that is given twice is refused, as are anchors, which could stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one node, having looked at what it is."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if event.anchor is not None:  # an alias has one, too
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not allowed", problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping, having looked at its keys."""
        keys: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode) or key.value in keys:
                raise yaml.MarkedYAMLError(problem="a key is given twice, or no text", problem_mark=key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)  # type: ignore[arg-type]


def _load(text: str, source: str) -> object:
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the file"
        _refuse(f"{source}: {place}: {', '.join(part for part in (error.context, error.problem) if part)}")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        _refuse(f"{source}: not YAML ({type(error).__name__})")


def _convert(value: object, kind: type[_T], source: str) -> _T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        _refuse(f"{source}: {place.rstrip('`').removeprefix('.') or 'the file'}: {what}")


def _refuse(problem: str) -> NoReturn:
    raise ScenariosRefused([problem]) from None


# --- what makes no sense ------------------------------------------------------------------------------------------


def _problems(scenario: Scenario) -> Iterator[str]:
    if not _NAME.fullmatch(scenario.name):
        yield ".name: expected small letters, digits and single hyphens"
    for key in ("trade", "person"):
        if not getattr(scenario, key).strip():
            yield f".{key}: empty"
    if not scenario.facts:
        yield ".facts: there is none"
    ids = [fact.id for fact in scenario.facts]
    for name in _twice([OPENING, *ids]):
        yield f".facts: the id {name} is given twice"
    for place, fact in zip((".opening", *(f".facts[{it}]" for it in range(len(ids)))), scenario.known, strict=True):
        yield from (f"{place}{problem}" for problem in _fact_problems(fact, ids))
    if scenario.reaction is not None:
        yield from _reaction_problems(scenario.reaction, ids)


def _fact_problems(fact: Fact, ids: Sequence[str]) -> Iterator[str]:
    if fact.topic and fact.topic not in topics():
        yield f".topic: there is no topic {fact.topic}"
        return
    if fact.corrects and (fact.corrects not in ids or fact.corrects == fact.id):
        yield f".corrects: there is no other fact {fact.corrects}"
    if not fact.corrects and not any(term.strip() for term in terms_of(fact)):
        yield ": neither a topic nor key words (about), so that no question can bring it out"
    if not sections_of(fact):
        yield ".sections: neither given nor known from a topic"
    yield from (f".sections: there is no section {key}" for key in sections_of(fact) if key not in BY_KEY)
    if not fact.check or not all(part.strip() for item in fact.check for part in item.split("|")):
        yield ".check: empty"
    elif not Said.of([fact.says]).holds(fact.check):
        yield f".check: not to be found in the fact's own words: {'; '.join(fact.check)}"


def _reaction_problems(reaction: Reaction, ids: Sequence[str]) -> Iterator[str]:
    if not reaction.says.strip():
        yield ".reaction.says: empty"
    if reaction.corrects and reaction.corrects not in ids:
        yield f".reaction.corrects: there is no fact {reaction.corrects}"
    if (reaction.check or reaction.corrects) and reaction.means != "correct":
        yield ".reaction: only what means `correct` has something to check, or corrects a fact"
    if not Said.of([reaction.says]).holds(reaction.check):
        yield f".reaction.check: not to be found in its own words: {'; '.join(reaction.check)}"


def _twice(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
