"""What the user corrected in the middle of the interview stands where it belongs, in place of what it corrects.

A sentence corrects an earlier one if it says so ("sorry", "I was wrong", "60, not 40") and is about the same. Where no
doubt is left of which value gives way to which, the new one takes its place, and both turns are its sources. Where
there is doubt, both sentences stand together, and which of them holds is a question. Without either, nothing changes:
rather two answers side by side than one lost on a guess.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from evaa.documents import taking_back
from evaa.documents.exchanges import Answer
from evaa.documents.figures import canonical, claimed
from evaa.documents.placement import topic_of
from evaa.documents.scripted_review import Replacement, replaced_in, replacement_in
from evaa.documents.topics import Topic, label_of
from evaa.documents.words import is_content, stem, words
from protocols.records import Stage

_MOST_STATEMENTS = 12
"""A longer answer is a story, which corrects nothing."""

_FARTHEST = 200
"""How many statements back one looks."""

_MOST_CORRECTIONS = 50
"""Nobody corrects so much; whoever seems to is not compared any more."""

_ALIKE = 2
"""How many words two statements that are about the same have in common at least."""

_ASKS_FOR_CHANGE = ((1, 3), (8, 0))
"""Who is asked what will be different says of much that it is so no longer, and corrects nothing by that."""

_COMPARES = re.compile(r"\b(?:instead of|rather than|statt|anstatt)\b", re.IGNORECASE)
_WISH = re.compile(
    r"\b(?:should|shall|must|will|want\w*|wish\w*|would like|soll\w*|muss|möcht\w*|wollen)\b", re.IGNORECASE
)
_ADDS = re.compile(r"\b(?:also|too|besides|additionally|in addition|auch|außerdem|zusätzlich)\b", re.IGNORECASE)
_AT_TIMES = re.compile(
    r"\b(?:(?:in|im|at|on|an|am|around|during|before|after|vor|nach) (?:the |dem |der )?(?:\w+ of |ende )?"
    r"(?:(?:jan|feb)\w*|m(?:arch|ärz|ai|ay)|apr\w*|jun\w*|jul\w*|aug\w*|sept\w*|o[ck]t\w*|nov\w*|de[cz]\w*|\w*days?|\w*tag|christmas|"
    r"weihnachten|easter|ostern|spring|summer|autumn|winter|sommer|herbst|month|quarter|year|season)|sometimes|manchmal)\b",
    re.IGNORECASE,
)
"""What is so at times does not correct what is so else."""

_REASON = re.compile(r",? (?:because|since|as|weil|denn|da)\b.*", re.IGNORECASE)
"""Why something is different does not say that it is so only at times."""

_FIGURE = re.compile(r"\d[\d.,:'\u2019]*\d|\d")
_UNIT_WORDS = 3
_SIGNS = {"%": "percent", "prozent": "percent", "€": "euro", "eur": "euro", "$": "dollar"}


class Contradiction(msgspec.Struct, frozen=True):
    """Two sides of which one holds, in the user's words, each with its turns. `stage` is that of the earlier one."""

    stage: Stage
    earlier: str
    earlier_turns: tuple[int, ...]
    later: str
    later_turns: tuple[int, ...]

    @property
    def turns(self) -> tuple[int, ...]:
        """The turns of both."""
        return tuple(dict.fromkeys((*self.earlier_turns, *self.later_turns)))


class Settled(msgspec.Struct, frozen=True):
    """Answers with their corrections made.

    `passed_over` has the turns of those answers that only corrected something else, so that their own question was
    passed over.
    """

    answers: tuple[Answer, ...]
    contradictions: tuple[Contradiction, ...]
    passed_over: frozenset[tuple[int, ...]]


class _Statement(msgspec.Struct, frozen=True):
    """One statement of an earlier answer, ready to be compared. `position` is the answer's, `index` its own in it."""

    position: int
    index: int
    text: str
    content: frozenset[str]
    figures: frozenset[str]


class _Change(msgspec.Struct, frozen=True):
    """Which statements a correction is about, and the value that it certainly replaces; None: in doubt."""

    statements: Sequence[_Statement]
    replacement: Replacement | None = None


def settled(answers: Sequence[Answer]) -> Settled:
    """Return the answers with each correction beside, or in place of, what it corrects."""
    corrector = _Corrector()
    for answer in answers:
        corrector.take(answer)
    return corrector.settled()


class _Corrector:
    def __init__(self) -> None:
        self._answers: list[Answer] = []
        self._contradictions: list[Contradiction] = []
        self._passed_over: set[tuple[int, ...]] = set()
        self._left = _MOST_CORRECTIONS

    def settled(self) -> Settled:
        return Settled(tuple(self._answers), tuple(self._contradictions), frozenset(self._passed_over))

    def take(self, answer: Answer) -> None:
        """Take the next answer: make the corrections in it, and keep the rest."""
        said = taking_back.joined(answer.statements)
        if not 0 < len(said) <= _MOST_STATEMENTS:
            self._answers.append(answer)
            return
        rest = [sentence for sentence in said if not self._correct(sentence, answer)]
        if len(rest) == len(said):
            self._answers.append(answer)
        elif rest:
            self._answers.append(msgspec.structs.replace(answer, text=" ".join(rest)))
        else:
            self._passed_over.add(answer.turns)

    def _correct(self, said: str, answer: Answer) -> bool:
        if not self._left or not (taking_back.mark_of(said) or replacement_in(said)):
            return False
        self._left -= 1
        earlier = list(self._earlier())
        change = _change(said, topic_of(answer), earlier)
        if change is None:
            return False
        for statement in _left_over(change, taking_back.core(said), earlier):
            self._contradict(statement, said, answer)
        # From the last to the first, since an answer that is taken apart moves what comes after it.
        for statement in sorted(change.statements, key=lambda it: (it.position, it.index), reverse=True):
            if change.replacement is None:
                self._contest(statement, said, answer)
            else:
                self._replace(statement, change.replacement, said, answer)
        return True

    def _earlier(self) -> Iterator[_Statement]:
        """The statements so far, those of the last answers."""
        count = 0
        for position in reversed(range(len(self._answers))):
            answer = self._answers[position]
            context = label_of(answer.question) if answer.in_context != answer.text else ""
            for index, text in enumerate(answer.statements[: _FARTHEST - count]):
                count += 1
                yield _Statement(position, index, text, _content(f"{context} {text}"), _claimed(text))

    def _replace(self, statement: _Statement, replacement: Replacement, said: str, answer: Answer) -> None:
        core = taking_back.core(said)
        self._put(statement, _merged(statement, replaced_in(statement.text, replacement), core), answer)

    def _contest(self, statement: _Statement, said: str, answer: Answer) -> None:
        self._contradict(statement, said, answer)
        self._put(statement, f"{statement.text} {said}", answer)

    def _contradict(self, statement: _Statement, said: str, answer: Answer) -> None:
        earlier = self._answers[statement.position]
        self._contradictions.append(Contradiction(earlier.stage, statement.text, earlier.turns, said, answer.turns))

    def _put(self, statement: _Statement, text: str, answer: Answer) -> None:
        """Put a text in place of a statement, an answer of its own if there are others beside it."""
        earlier = self._answers[statement.position]
        before, _, after = earlier.text.partition(statement.text)
        turns = tuple(sorted({*earlier.turns, *answer.turns}))
        parts = [
            msgspec.structs.replace(earlier, text=before.strip()),
            msgspec.structs.replace(earlier, text=text, turns=turns, is_whole=True),
            msgspec.structs.replace(earlier, text=after.strip()),
        ]
        self._answers[statement.position : statement.position + 1] = [part for part in parts if part.text]


def _left_over(change: _Change, core: str, earlier: Sequence[_Statement]) -> Iterator[_Statement]:
    """What still has the value that gives way, in words that the correction has, too: it may be meant or not."""
    replacement = change.replacement
    if replacement is None or not _claimed(replacement.old):
        return
    values = _content(f"{replacement.old} {replacement.new}")
    own = _content(core).union(*(statement.content for statement in change.statements)) - values
    for statement in earlier:
        units = _units(statement.text, replacement.old)
        has_value = statement not in change.statements and _claimed(replacement.old) <= statement.figures
        if has_value and units & own and (statement.content - units) & own:
            yield statement


def _merged(statement: _Statement, replaced: str, core: str) -> str:
    """The statement with the new value, the correction if that says all of it, or both if each says more."""
    if _content(core) <= statement.content | _content(replaced):
        return replaced
    says_all = _content(statement.text) <= _content(core) and _claimed(replaced) <= _claimed(core)
    return core if says_all else f"{replaced} {core}"


# --- what a sentence corrects -------------------------------------------------------------------------------------


def _change(said: str, topic: Topic, earlier: Sequence[_Statement]) -> _Change | None:
    """What a sentence corrects, if anything; `topic` is what was asked."""
    mark = taking_back.mark_of(said)
    core = taking_back.core(said)
    named = replacement_in(core)
    if topic in _ASKS_FOR_CHANGE and mark in ("", "faint"):
        return None
    if named is not None and (mark or not _COMPARES.search(said)):
        change = _by_both_values(core, named, bool(mark), earlier)
        if change is not None:
            return change
    return _by_likeness(core, mark, earlier) if mark else None


def _by_both_values(core: str, named: Replacement, is_marked: bool, earlier: Sequence[_Statement]) -> _Change | None:
    """Both values are named: certain if one knows which statement is meant, and nothing else in it changes."""
    is_figure = bool(_claimed(named.old))
    holding = [statement for statement in earlier if _holds(statement, named, core)]
    values = _content(f"{named.old} {named.new}")
    own = _content(core) - values - _units(core, named.new)
    related = [statement for statement in holding if own & statement.content]
    if not holding or (own and not related and not is_marked):
        return None
    meant = related or holding
    is_certain = (
        (bool(related) or (not own and len(holding) == 1))
        and (is_figure or all(own <= statement.content for statement in meant))
        and all(_is_like_in_wish(core, statement) and _is_replaced(statement, named) for statement in meant)
    )
    if is_certain and (is_figure or is_marked):
        return _Change(meant, named)
    return _Change(meant[:1]) if is_marked else None


def _by_likeness(core: str, mark: taking_back.Mark, earlier: Sequence[_Statement]) -> _Change | None:
    """The statement that has most in common with the correction; certain if only its one figure differs."""
    own = _content(core)
    alike = [statement for statement in earlier if _is_alike(core, own, statement)]
    differing = [statement for statement in alike if _is_like_in_wish(core, statement) and _figures(core, statement)]
    candidates = differing or (alike if mark == "plain" else [])
    if not candidates or (mark != "plain" and _ADDS.search(core)):
        return None
    best = max(candidates, key=lambda statement: len(own & statement.content))
    adds = bool(_content(_REASON.sub("", core)) - best.content)
    figures = _figures(core, best)
    if not (adds or figures) or (adds and mark == "faint") or (mark != "plain" and _AT_TIMES.search(core)):
        return None
    is_certain = len(best.figures) == 1 and len(own & best.content) >= _ALIKE and (mark == "plain" or not adds)
    if figures is None or not is_certain or not _is_replaced(best, figures):
        return _Change([best])
    shared = own & best.content
    return _Change([it for it in differing if shared <= it.content and it.figures == best.figures], figures)


def _is_alike(core: str, own: frozenset[str], statement: _Statement) -> bool:
    if len(own & statement.content) >= _ALIKE:
        return True
    return bool(own) and own <= statement.content and _figures(core, statement) is not None


def _figures(core: str, statement: _Statement) -> Replacement | None:
    """The figure of a statement that a correction has another one for: of the same unit, as far as one can tell."""
    old = [found[0] for found in _FIGURE.finditer(statement.text) if canonical(found[0]) not in _claimed(core)]
    old = old or [found[0] for found in _FIGURE.finditer(statement.text)]
    new = [found[0] for found in _FIGURE.finditer(core) if canonical(found[0]) not in statement.figures]
    is_bare = not _content(statement.text)
    pairs = [(a, b) for a in old for b in new if is_bare or _are_alike(_units(statement.text, a), _units(core, b))]
    return Replacement(*pairs[0]) if len(pairs) == 1 else None


def _holds(statement: _Statement, named: Replacement, core: str) -> bool:
    if figures := _claimed(named.old):
        units = _units(core, named.new) | _units(core, named.old)
        of_statement = _units(statement.text, named.old)
        return figures <= statement.figures and (not (units and of_statement) or _are_alike(units, of_statement))
    return bool(re.search(rf"(?<!\w){re.escape(named.old)}(?!\w)", statement.text, re.IGNORECASE))


def _are_alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return bool(one & other) or one == other


@lru_cache(maxsize=4_096)
def _units(text: str, figure: str) -> frozenset[str]:
    """The words that follow a figure and may say of what it is."""
    wanted = {canonical(found[0]) for found in _FIGURE.finditer(figure)}
    found = next((it for it in _FIGURE.finditer(text) if canonical(it[0]) in wanted), None)
    if found is None:
        return frozenset()
    after = re.findall(r"[^\W\d_]+|[%€$]|[.,;:!?]", text[found.end() :])[:_UNIT_WORDS]
    before = text[: found.start()].rstrip()[-1:]
    stop = next((index for index, word in enumerate(after) if word in ".,;:!?"), len(after))
    plain = [_SIGNS.get(word.casefold(), word) for word in (*after[:stop], *([before] if before in _SIGNS else []))]
    return _content(" ".join(plain))


def _is_like_in_wish(core: str, statement: _Statement) -> bool:
    """What should be is no correction of what is."""
    return bool(_WISH.search(core)) == bool(_WISH.search(statement.text))


def _is_replaced(statement: _Statement, replacement: Replacement) -> bool:
    return replaced_in(statement.text, replacement) != statement.text


@lru_cache(maxsize=4_096)
def _claimed(text: str) -> frozenset[str]:
    return claimed(text)


@lru_cache(maxsize=4_096)
def _content(text: str) -> frozenset[str]:
    return frozenset(word.stem for word in words(text.casefold()) if is_content(word)) - _TALK_STEMS


_TALK_STEMS = frozenset(map(stem, taking_back.WORDS))
