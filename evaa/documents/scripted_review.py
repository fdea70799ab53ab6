"""What a user says about the finished documents, understood without a model; and corrections, made word for word.

Two values change places where the user names both ("5,000, not 500", "Anna instead of Petra", "change A to B").
Whatever else is to be different stands in the document in the user's own words.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from evaa.documents import figures
from evaa.documents.catalogue import BY_KEY
from evaa.documents.checking import MAX_FIELD_CHARS
from evaa.documents.questions import collapsed, shortened
from evaa.documents.words import is_content, words
from protocols.documents import Brd, Section
from protocols.records import Interview
from protocols.writing import DraftEntry, Review, ReviewBrief

NAME = "scripted"

CONFIRMED = "Thank you. The document is confirmed as it is."
UNSURE = (
    "Nothing in the document is changed by that. If something is not right, say what it should be, for example: the"
    " limit is 5,000, not 500. If everything is right, please confirm the document."
)
EMPTY_CORRECTION = "Please tell me what should be different, for example: the limit is 5,000, not 500."
PLEASE_CONFIRM = "Please look at the new version, and confirm it if it is right now."

_FALLBACK = "requirements"
_NOT_SEARCHED = frozenset({"openQuestions"})
_TITLE_CHARS = 90
_CHANGE_CHARS = 80
_CONFIRMATION_WORDS = 12

_CONFIRMS = re.compile(
    r"\W*(?:(?:thanks|thank you|danke)\W+)?(?:yes|yep|yeah|yup|confirm(?:ed)?|i (?:hereby )?(?:confirm|approve|agree)|"
    r"(?:it |that |this |everything |all )?(?:looks?|is|sounds?|seems) (?:all |very )?(?:good|great|right|correct|fine|"
    r"perfect|ok(?:ay)?)|"
    r"(?:that|it|all|everything)['\u2019]?s (?:all )?(?:good|great|right|correct|fine|perfect|ok(?:ay)?)|"
    r"correct|approved?|agreed|perfect|fine|great|good|ok(?:ay)?|all good|ja|jawohl|passt|stimmt|genau|richtig|"
    r"(?:sieht|klingt) gut|einverstanden|best\u00e4tigt|freigegeben|in ordnung|oui|"
    r"d['\u2019]accord|s\u00ed|si|conforme)\b",
    re.IGNORECASE,
)
_RESERVES = re.compile(
    r"\b(?:but|except|however|although|though|not|n['\u2019]t|wrong|instead|change|replace|add|remove|missing|almost|only|"
    r"aber|au\u00dfer|nicht|falsch|statt|\u00e4nder\w*|fehlt|nur|fast|mais|pero)\b|n['\u2019]t\b|\?|\d",
    re.IGNORECASE,
)
_BUT = re.compile(r"\b(?:but|except|however|although|though|only|aber|au\u00dfer|nur|mais|pero)\b", re.IGNORECASE)
_CORRECTS = re.compile(
    r"\b(?:change|replace|add|remove|delete|drop|missing|forgot(?:ten)?|should (?:be|say|read)|must (?:be|say)|wrong|"
    r"incorrect|actually|instead|rather|not (?:quite )?(?:right|correct|true)|also needs?|\u00e4nder\w*|erg\u00e4nz\w*|"
    r"l\u00f6sch\w*|streich\w*|falsch|fehlt|fehlen|statt|sondern)\b|^\W*(?:no|nope|nein)\b.*\w{3}",
    re.IGNORECASE,
)
_EMPTY_CORRECTION = re.compile(
    r"\W*(?:(?:no|nope|nein)\W+)?(?:(?:that|this|it)(?:['\u2019]s| is)(?: not|n['\u2019]t)? )?"
    r"(?:(?:not )?(?:quite )?(?:right|correct|true)|wrong|incorrect|falsch|nicht richtig)?\W*",
    re.IGNORECASE,
)

_FIGURE = r"[\u20ac$\u00a3]? ?\d[\d.,:'\u2019]{0,30}\d|[\u20ac$\u00a3]? ?\d"
_NAME = r"[A-Z\u00c4\u00d6\u00dc][\w-]*(?: [A-Z\u00c4\u00d6\u00dc][\w-]*){0,2}"
_QUOTED = "[\"\u201c\u201e'][^\"\u201c\u201d\u201e']{1,80}[\"\u201d\u201c']"
_VALUE = rf"(?:{_QUOTED}|{_FIGURE}|(?-i:{_NAME}))"
_WORD = "[a-z\u00e4\u00f6\u00fc]{1,12}"
_UNIT = rf"(?: ?(?:%|\u20ac|\$|{_WORD}))?(?: (?:an?|per|pro|im|am|in der) {_WORD})?"
_PATTERNS = tuple(
    re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE)
    for pattern in (
        rf"(?P<new>{_VALUE}){_UNIT},? (?:and )?(?:not|instead of|rather than|nicht|statt|anstatt) (?P<old>{_VALUE})",
        rf"(?:not|nicht) (?P<old>{_VALUE}){_UNIT},? (?:but|sondern) (?P<new>{_VALUE})",
        rf"(?:change|replace|correct|\u00e4ndere|ersetze)(?: the)? (?P<old>{_VALUE}){_UNIT} (?:to|with|by|in|durch)"
        rf" (?P<new>{_VALUE})",
    )
)
_QUOTES = "\"\u201c\u201d\u201e' "


class Replacement(msgspec.Struct, frozen=True):
    """One value that takes the place of another."""

    old: str
    new: str


def review(brief: ReviewBrief) -> Review:
    """Return what the user meant, as far as plain words tell it."""
    said = collapsed(brief.words)
    if _is_confirmation(said):
        return Review("confirm", CONFIRMED, NAME)
    replacement = replacement_in(said)
    if replacement is not None or _corrects(said) or _speaks_of_it(brief.brd, said):
        if replacement is None and len(said) <= _CHANGE_CHARS and _EMPTY_CORRECTION.fullmatch(said):
            return Review("other", EMPTY_CORRECTION, NAME)
        return _correction(brief.brd, said, replacement)
    return Review("other", UNSURE, NAME)


def kept(previous: Section) -> list[DraftEntry]:
    """Return a section's entries as they are; what the user confirmed is stated, and only they confirm it again."""
    return [
        DraftEntry(
            entry.fields, entry.source_turns, "stated" if entry.status == "confirmed" else entry.status, entry.entry_id
        )
        for entry in previous.entries
    ]


def revised(section: str, drafts: list[DraftEntry], correction: str, interview: Interview) -> list[DraftEntry]:
    """Return the entries of a section with a correction made: a value replaced, or else the user's words added."""
    said = collapsed(correction)
    newest = tuple(turn.turn for turn in interview.turns[-1:])
    replacement = replacement_in(said)
    if replacement is not None:
        changed = [_with(replacement, draft, newest) for draft in drafts]
        if changed != drafts:
            return changed
    return [*drafts, _in_own_words(section, said, newest)]


def replacement_in(said: str) -> Replacement | None:
    """The two values of a correction that names both and no more; else None."""
    found = [match for pattern in _PATTERNS for match in pattern.finditer(said)]
    if len(found) != 1:
        return None
    old, new = (found[0][group].strip(_QUOTES) for group in ("old", "new"))
    is_alike = any(map(str.isdigit, old)) == any(map(str.isdigit, new))
    return Replacement(old, new) if old and new and is_alike else None


def replaced_in(text: str, replacement: Replacement) -> str:
    """Return the text with the old value, wherever it stands as a whole, replaced by the new."""
    old, new = replacement.old, replacement.new
    old_number, new_number = (re.search(r"\d[\d.,:'\u2019]*", value) for value in (old, new))
    if old_number and new_number and not re.search(r"[^\W\d_]", old):
        if old.strip() != old_number[0] or new.strip() == new_number[0]:
            new = new_number[0]
        return figures.replaced(text, old_number[0], new)
    return re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", lambda _: new, text, flags=re.IGNORECASE)


# --- what is meant ------------------------------------------------------------------------------------------------


def _is_confirmation(said: str) -> bool:
    is_short = len(said.split()) <= _CONFIRMATION_WORDS
    return is_short and bool(_CONFIRMS.match(said)) and not _RESERVES.search(said)


def _corrects(said: str) -> bool:
    """Whether somebody says that something should be different, or confirms with a but."""
    return bool(_CORRECTS.search(said) or (_CONFIRMS.match(said) and _BUT.search(said)))


def _speaks_of_it(brd: Brd, said: str) -> bool:
    """Whether somebody who neither asks nor corrects in so many words states something that the document is about."""
    return not said.endswith("?") and _overlap(brd, said).total() > 0


def _correction(brd: Brd, said: str, replacement: Replacement | None) -> Review:
    holding = [] if replacement is None else _sections_with(brd, replacement)
    if replacement is not None and holding:
        titles = ", ".join(BY_KEY[key].title for key in holding)
        change = f"“{replacement.old}” becomes “{replacement.new}”"
        reply = f"Noted: {change} (in: {titles}). {PLEASE_CONFIRM}"
        return Review("correct", reply, NAME, tuple(holding), change)
    best = next((key for key, _ in _overlap(brd, said).most_common(1)), _FALLBACK)
    reply = f"Noted in your own words, under: {BY_KEY[best].title}. {PLEASE_CONFIRM}"
    return Review("correct", reply, NAME, (best,), shortened(said, _CHANGE_CHARS))


def _sections_with(brd: Brd, replacement: Replacement) -> list[str]:
    return [
        section.key
        for section in brd.sections
        if section.key in BY_KEY
        and any(_replaced(entry.fields, replacement) != entry.fields for entry in section.entries)
    ]


def _overlap(brd: Brd, said: str) -> Counter[str]:
    """How many of the words each section has in one of its entries, if two at least."""
    wanted = _content(said)
    most = {
        section.key: max(
            (len(wanted & _content(" ".join(entry.fields.values()))) for entry in section.entries), default=0
        )
        for section in brd.sections
        if section.key in BY_KEY and section.key not in _NOT_SEARCHED
    }
    return Counter({key: shared for key, shared in most.items() if shared > 1})


def _content(text: str) -> set[str]:
    return {word.stem for word in words(text) if is_content(word)} | figures.claimed(text)


# --- what is written ----------------------------------------------------------------------------------------------


def _with(replacement: Replacement, draft: DraftEntry, newest: Iterable[int]) -> DraftEntry:
    fields = _replaced(draft.fields, replacement)
    if fields == draft.fields:
        return draft
    sources = tuple(dict.fromkeys((*draft.source_turns, *newest)))
    return msgspec.structs.replace(draft, fields=fields, source_turns=sources)


def _replaced(fields: Mapping[str, str], replacement: Replacement) -> dict[str, str]:
    return {key: replaced_in(value, replacement) for key, value in fields.items()}


def _in_own_words(section: str, said: str, newest: tuple[int, ...]) -> DraftEntry:
    """The correction as an entry of its own; a card has the words in full below their beginning."""
    kind = BY_KEY[section]
    text = said[:MAX_FIELD_CHARS]
    fields = {_column_of_words(section): text}
    if kind.layout == "cards":
        fields = {kind.columns[0].key: shortened(text, _TITLE_CHARS)} | fields
    return DraftEntry(fields, newest, "stated" if newest else "inferred")


def _column_of_words(section: str) -> str:
    """Where a section has its words: beside a classifying headline, below a card's title."""
    keys = {"requirements": "then", "acceptanceTests": "expected"}
    return keys.get(section) or next(column.key for column in BY_KEY[section].columns if not column.choices)
