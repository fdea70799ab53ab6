"""What a writer says is checked against what was said: the turns must exist, and nothing unsaid stands as stated.

A statement that a writer calls `stated` has to be found again in the turns that it names: its figures and names, and
most of its other words, of which those that were said in other turns count half. A short answer means nothing without
its question, so the words of the question count, too: its names unless the answer is a no, its figures only where the
answer is a yes. A question that is quoted claims nothing. What fails becomes an open question. What is called
`inferred` may say anything, but its turns must exist, too. A writer cannot confirm: only the user does.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache

import msgspec

from evaa.documents.catalogue import SECTIONS, Column, SectionKind
from evaa.documents.figures import claimed, heard
from evaa.documents.questions import collapsed, questions, sentences
from evaa.documents.words import Vocabulary, is_content, words
from protocols.documents import Entry
from protocols.records import TurnRecord
from protocols.writing import DraftEntry

MAX_ENTRIES = 60
MAX_FIELD_CHARS = 4_000
SHARE_SAID = 0.5
"""How much of a stated sentence must have been said: writers put things in their own words, to a degree."""
SHARE_OF_ITS_TURNS = 0.25
"""How much of it must come from the very turns that it names: a role, say, was often named in another."""

_LONG_QUOTE = 40

_YES = re.compile(
    r"\W*(yes|yeah|yep|right|correct|exactly|indeed|sure|of course|ja|genau|stimmt|richtig|oui|sí|si)\b", re.IGNORECASE
)
_NO = re.compile(r"\W*(no|nope|not|none|neither|never|nein|nicht|kein\w*|non)\b", re.IGNORECASE)
_REFERENCE = re.compile(rf"\b(?:{'|'.join(kind.prefix for kind in SECTIONS)})-\d+\b")
"""The id of another entry, which claims nothing."""
_NOTHING_SAID = frozenset({"n/a", "tbd", "not said", "not specified", "not stated", "not mentioned", "not provided"})
"""What writers put into a column instead of leaving it empty."""


class Checked(msgspec.Struct, frozen=True):
    """What may stand, and what may not stand as it was said."""

    sound: tuple[DraftEntry, ...]
    doubtful: tuple[DraftEntry, ...]


def check(
    drafts: Sequence[DraftEntry], columns: Sequence[Column], turns: Sequence[TurnRecord], opening: str = ""
) -> Checked:
    """Sort what a writer gave into what may stand and what has to be asked. Empty statements are dropped.

    `opening` is what the agent said before the first turn.
    """
    record = _prepared(tuple(turns), opening)
    said = record.said
    tidy = (_tidied(draft, columns, said) for draft in drafts)
    kept = itertools.islice((draft for draft in tidy if any(_claims(draft, columns))), MAX_ENTRIES)
    sound: list[DraftEntry] = []
    doubtful: list[DraftEntry] = []
    for draft in kept:
        (sound if _may_stand(draft, columns, record) else doubtful).append(draft)
    return Checked(tuple(sound), tuple(doubtful))


@lru_cache(maxsize=4)
def _prepared(turns: tuple[TurnRecord, ...], opening: str) -> "_Said":
    """The interview, ready to be compared with: each of its pieces is checked against the same turns."""
    return _Said({turn.turn: turn.text for turn in turns}, questions(turns, opening))


def is_said(text: str, words: str, question: str = "") -> bool:
    """Whether `text` is found in `words`, the answer to `question`: each figure and name, and most of the rest."""
    return _Heard((words,), (question,), lambda: Vocabulary("")).bears_out((text,))


class _Heard:
    """What was said in some turns, and asked before, prepared for being compared; and what was said at all."""

    def __init__(self, answers: Sequence[str], asked: Sequence[str], at_all: Callable[[], Vocabulary]) -> None:
        self._answers = answers
        self._asked = asked
        self._at_all = at_all
        self._quotable = collapsed(" ".join(answers)).casefold()
        self._quotable_densely = "".join(self._quotable.split())
        self._questions = sorted({question for question in asked if question}, key=len, reverse=True)

    @cached_property
    def _figures(self) -> frozenset[str]:
        return heard("\n".join([*self._answers, *self._asked_before(_is_yes)]))

    @cached_property
    def _names(self) -> Vocabulary:
        return Vocabulary("\n".join([*self._answers, *self._asked_before(_is_not_no)]))

    @cached_property
    def _words(self) -> Vocabulary:
        return Vocabulary("\n".join([*self._answers, *self._asked]))

    def _asked_before(self, counts: Callable[[str], bool]) -> list[str]:
        """The questions whose answers make them count."""
        return [question for answer, question in zip(self._answers, self._asked, strict=True) if counts(answer)]

    def bears_out(self, claims: Sequence[str]) -> bool:
        said = elsewhere = total = 0
        for sentence in itertools.chain.from_iterable(map(self._sentences, claims)):
            is_quoted = self._is_quoted(sentence)
            if not (is_quoted or claimed(sentence) <= self._figures):
                return False
            for word in filter(is_content, words(sentence)):
                is_said = is_quoted or self._words.holds(word)
                if word.is_name and not (is_quoted or self._names.holds(word)):
                    return False
                total += 1
                said += is_said
                elsewhere += not is_said and self._at_all().holds(word)
        return said + elsewhere / 2 >= SHARE_SAID * total and said >= SHARE_OF_ITS_TURNS * total

    def _is_quoted(self, sentence: str) -> bool:
        """Whether these very words were said; a short text is quoted only in whole words and figures."""
        quote = collapsed(sentence).rstrip(".!?\u2026 ").casefold()
        if len(quote) >= _LONG_QUOTE:
            return "".join(quote.split()) in self._quotable_densely
        return bool(re.search(rf"(?<![\w.,:]){re.escape(quote)}(?![\w]|[.,:]\w)", self._quotable))

    def _sentences(self, claim: str) -> Iterator[str]:
        """The sentences of what a text claims, without the questions that it quotes; as one if all is quoted."""
        if self._is_quoted(claim):
            return iter((claim,))
        for question in self._questions:
            claim = re.sub(re.escape(question), "\n", claim, flags=re.IGNORECASE)
        claim = _REFERENCE.sub(" ", claim)
        return (sentence for sentence in sentences(claim) if any(map(str.isalnum, sentence)))


def _is_yes(answer: str) -> bool:
    return bool(_YES.match(answer))


def _is_not_no(answer: str) -> bool:
    return not _NO.match(answer)


class _Said:
    """The whole interview, and what was heard in some turns of it, each combination prepared once."""

    def __init__(self, said: Mapping[int, str], asked: Mapping[int, str]) -> None:
        self.said = said
        self._asked = asked
        self._heard: dict[tuple[int, ...], _Heard] = {}

    @cached_property
    def _at_all(self) -> Vocabulary:
        return Vocabulary("\n".join(self.said.values()))

    def heard_in(self, turns: tuple[int, ...]) -> _Heard:
        if turns not in self._heard:
            self._heard[turns] = _Heard(
                [self.said[it] for it in turns], [self._asked[it] for it in turns], lambda: self._at_all
            )
        return self._heard[turns]


def _tidied(draft: DraftEntry, columns: Sequence[Column], said: Mapping[int, str]) -> DraftEntry:
    sources = tuple(sorted({turn for turn in draft.source_turns if turn in said}))
    status = "inferred" if draft.status == "confirmed" else draft.status
    fields = {column.key: _fitting(draft.fields.get(column.key, ""), column) for column in columns}
    return msgspec.structs.replace(draft, fields=fields, source_turns=sources, status=status)


def _fitting(value: str, column: Column) -> str:
    plain = value.strip()
    if column.choices:
        return next((choice for choice in column.choices if choice.casefold() == plain.casefold()), "")
    if plain.rstrip(".").casefold() in _NOTHING_SAID or not any(map(str.isalnum, plain)):
        return ""
    return plain[:MAX_FIELD_CHARS].rstrip()


def _claims(draft: DraftEntry, columns: Sequence[Column]) -> list[str]:
    """What the entry says in words; what is only classified says nothing."""
    return [draft.fields[column.key] for column in columns if not column.choices and draft.fields.get(column.key)]


def _may_stand(draft: DraftEntry, columns: Sequence[Column], said: _Said) -> bool:
    if draft.status != "stated":
        return True
    return bool(draft.source_turns) and said.heard_in(draft.source_turns).bears_out(_claims(draft, columns))


def question_about(kind: SectionKind, draft: DraftEntry) -> DraftEntry:
    """The open question that a doubtful statement becomes."""
    question = f"Is this right? {'; '.join(_claims(draft, kind.columns))}"
    fields = {
        "question": question[:MAX_FIELD_CHARS].rstrip(),
        "reason": f"It was noted under “{kind.title}”, but nothing that was said bears it out.",
    }
    return DraftEntry(fields, draft.source_turns, "inferred")


def entries_of(drafts: Sequence[DraftEntry], ids: Sequence[str]) -> tuple[Entry, ...]:
    """Return drafts as entries under these ids."""
    return tuple(
        Entry(entry_id, draft.fields, draft.source_turns, draft.status)
        for entry_id, draft in zip(ids, drafts, strict=True)
    )
