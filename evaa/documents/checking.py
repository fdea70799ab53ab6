"""What a writer says is checked against what was said: the turns must exist, and nothing unsaid stands as stated.

A statement that a writer calls `stated` has to be found again in the turns that it names: its figures and names, and
most of its other words, of which those that were said in other turns count half. A short answer means nothing without
its question, so the words of the question count, too: its names unless the answer is a no, its figures only where the
answer is a yes. A question that is quoted claims nothing. What fails becomes an open question. What is called
`inferred` may say anything, but its turns must exist, too. A writer cannot confirm: only the user does.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache, partial

import msgspec

from evaa.documents.catalogue import SECTIONS, Column, SectionKind
from evaa.documents.figures import Figures, claimed
from evaa.documents.questions import collapsed, questions, sentences
from evaa.documents.words import Vocabulary, Word, is_content, words
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
_INTERVIEWS = 16
"""So many are kept prepared. Of the largest that there can be, one takes 8 MB, or 25 MB if it is contrived to."""
_COMBINATIONS = 4
"""So many combinations of turns are kept prepared while a list is checked: entries often share theirs."""

_YES = re.compile(
    r"\W*(yes|yeah|yep|right|correct|exactly|indeed|sure|of course|ja|genau|stimmt|richtig|oui|sí|si)\b", re.IGNORECASE
)
_NO = re.compile(r"\W*(no|nope|not|none|neither|never|nein|nicht|kein\w*|non)\b", re.IGNORECASE)
_WHOLE_WORD = re.compile(r"\w+")
_REFERENCE = re.compile(rf"\b(?:{'|'.join(kind.prefix for kind in SECTIONS)})-\d+\b")
"""The id of another entry, which claims nothing."""
NOTHING_SAID = frozenset({"n/a", "tbd", "not said", "not specified", "not stated", "not mentioned", "not provided"})
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
    heard_in = lru_cache(maxsize=_COMBINATIONS)(partial(_Heard, record))
    tidy = (_tidied(draft, columns, said) for draft in drafts)
    kept = itertools.islice((draft for draft in tidy if any(_claims(draft, columns))), MAX_ENTRIES)
    sound: list[DraftEntry] = []
    doubtful: list[DraftEntry] = []
    for draft in kept:
        (sound if _may_stand(draft, columns, heard_in) else doubtful).append(draft)
    return Checked(tuple(sound), tuple(doubtful))


def is_said(text: str, words: str, question: str = "") -> bool:
    """Whether `text` is found in `words`, the answer to `question`: each figure and name, and most of the rest."""
    return _Heard(_Said({1: words}, {1: question}), (1,)).bears_out((text,))


@lru_cache(maxsize=_INTERVIEWS)
def _prepared(turns: tuple[TurnRecord, ...], opening: str) -> "_Said":
    """The interview, ready to be compared with: each of its pieces is checked against the same turns."""
    return _Said({turn.turn: turn.text for turn in turns}, questions(turns, opening))


class _Turn(msgspec.Struct, frozen=True):
    """What was said in one turn, and asked before. `answer` and `question` are their places among all the texts."""

    answer: int
    question: int
    quotable: str
    quotable_densely: str
    quotable_words: frozenset[str]
    asked: str
    is_yes: bool
    is_no: bool


class _Said:
    """The whole interview, each of its words looked at once, whichever turns are asked about later."""

    def __init__(self, said: Mapping[int, str], asked: Mapping[int, str]) -> None:
        self.said = said
        self._texts = [text for number, answer in said.items() for text in (answer, asked[number])]
        self.turns = {
            number: _Turn(
                answer=2 * index,
                question=2 * index + 1,
                quotable=(quotable := collapsed(answer).casefold()),
                quotable_densely="".join(quotable.split()),
                quotable_words=frozenset(_WHOLE_WORD.findall(quotable)),
                asked=asked[number],
                is_yes=bool(_YES.match(answer)),
                is_no=bool(_NO.match(answer)),
            )
            for index, (number, answer) in enumerate(said.items())
        }
        self.all_answers = _bits(turn.answer for turn in self.turns.values())

    @cached_property
    def words(self) -> Vocabulary:
        return Vocabulary(*self._texts)

    @cached_property
    def figures(self) -> Figures:
        return Figures(*self._texts)


class _Heard:
    """What was said in some turns of an interview, and asked before."""

    def __init__(self, interview: _Said, turns: Sequence[int]) -> None:
        self._interview = interview
        heard = [interview.turns[number] for number in turns]
        answers = [turn.answer for turn in heard]
        self._figures = interview.figures.among([*answers, *(turn.question for turn in heard if turn.is_yes)])
        self._with_names = _bits([*answers, *(turn.question for turn in heard if not turn.is_no)])
        self._with_words = _bits([*answers, *(turn.question for turn in heard)])
        self._quotable_words = [turn.quotable_words for turn in heard]
        self._quotable = " ".join(turn.quotable for turn in heard if turn.quotable)
        self._quotable_densely = "".join(turn.quotable_densely for turn in heard)
        self._questions = sorted({turn.asked for turn in heard if turn.asked}, key=len, reverse=True)
        self._quoted: dict[str, bool] = {}

    def bears_out(self, claims: Sequence[str]) -> bool:
        vocabulary = self._interview.words
        said = elsewhere = total = 0
        for sentence in itertools.chain.from_iterable(map(self._sentences, claims)):
            content = [word for word in words(sentence) if is_content(word)]
            unsaid = [word for word in content if not vocabulary.holds(word, self._with_words)]
            may_stand = self._has_figures_and_names(sentence, content)
            if (unsaid or not may_stand) and self._is_quoted(sentence):
                unsaid = []
            elif not may_stand:
                return False
            total += len(content)
            said += len(content) - len(unsaid)
            elsewhere += sum(vocabulary.holds(word, self._interview.all_answers) for word in unsaid)
        return said + elsewhere / 2 >= SHARE_SAID * total and said >= SHARE_OF_ITS_TURNS * total

    def _has_figures_and_names(self, sentence: str, content: Sequence[Word]) -> bool:
        vocabulary = self._interview.words
        return all(figure in self._figures for figure in claimed(sentence)) and all(
            vocabulary.holds(word, self._with_names) for word in content if word.is_name
        )

    def _is_quoted(self, sentence: str) -> bool:
        """Whether these very words were said; a short text is quoted only in whole words and figures."""
        quote = collapsed(sentence).rstrip(".!?\u2026 ").casefold()
        if len(quote) >= _LONG_QUOTE:
            return "".join(quote.split()) in self._quotable_densely
        if quote not in self._quoted:
            self._quoted[quote] = self._has_words_of(quote) and _stands_in(quote, self._quotable)
        return self._quoted[quote]

    def _has_words_of(self, quote: str) -> bool:
        """Whether each of its words was said as it is, wherever: without that nothing needs to be searched."""
        return all(any(word in said for said in self._quotable_words) for word in _WHOLE_WORD.findall(quote))

    def _sentences(self, claim: str) -> Iterator[str]:
        """The sentences of what a text claims, without the questions that it quotes; as one if all is quoted."""
        if self._is_quoted(claim):
            return iter((claim,))
        for question in self._questions:
            claim = _without(question, claim)
        claim = _REFERENCE.sub(" ", claim)
        return (sentence for sentence in sentences(claim) if any(map(str.isalnum, sentence)))


def _bits(indices: Iterable[int]) -> int:
    return sum(1 << index for index in indices)


def _stands_in(quote: str, text: str) -> bool:
    """Whether a text holds these very words as whole ones. What stands before is looked at last: it is the slower."""
    if quote not in text:
        return False
    is_whole = rf"(?<![\w.,:].{{{len(quote)}}})(?!\w|[.,:]\w)"
    return bool(re.search(re.escape(quote) + is_whole, text, re.DOTALL))


def _without(question: str, claim: str) -> str:
    """The claim without the question, however that is written there: great and small letters count as the same."""
    if _regardless_of_case(question) not in _regardless_of_case(claim):
        return claim
    return re.sub(re.escape(question), "\n", claim, flags=re.IGNORECASE)


def _regardless_of_case(text: str) -> str:
    """A form that is the same at least where regular expressions take letters as the same, \u0131 and i among them."""
    return text.casefold().replace("\u0307", "").replace("\u0131", "i")


def _tidied(draft: DraftEntry, columns: Sequence[Column], said: Mapping[int, str]) -> DraftEntry:
    sources = tuple(sorted({turn for turn in draft.source_turns if turn in said}))
    status = "inferred" if draft.status == "confirmed" else draft.status
    fields = {column.key: _fitting(draft.fields.get(column.key, ""), column) for column in columns}
    return msgspec.structs.replace(draft, fields=fields, source_turns=sources, status=status)


def _fitting(value: str, column: Column) -> str:
    plain = value.strip()
    if column.choices:
        return next((choice for choice in column.choices if choice.casefold() == plain.casefold()), "")
    if plain.rstrip(".").casefold() in NOTHING_SAID or not any(map(str.isalnum, plain)):
        return ""
    return plain[:MAX_FIELD_CHARS].rstrip()


def _claims(draft: DraftEntry, columns: Sequence[Column]) -> list[str]:
    """What the entry says in words; what is only classified says nothing."""
    return [draft.fields[column.key] for column in columns if not column.choices and draft.fields.get(column.key)]


def _may_stand(draft: DraftEntry, columns: Sequence[Column], heard_in: Callable[[tuple[int, ...]], _Heard]) -> bool:
    if draft.status != "stated":
        return True
    return bool(draft.source_turns) and heard_in(draft.source_turns).bears_out(_claims(draft, columns))


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
