"""Talk about talking: being at a loss, thinking aloud, being unsure. By closed lists of words, English and German.

Whatever has a figure, or a word beyond these lists, may say something and is left alone.
"""

import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet

from evaa.documents.questions import collapsed, sentences

_LONGEST_CHARS = 240
"""Longer talk is not looked at."""

_VERY = r"(?:(?:really|honestly|just|quite|so|very|completely|entirely|too|yet|absolutely)[, ]+)*"
_GANZ = r"(?:(?:wirklich|leider|ehrlich gesagt|gerade|jetzt|im moment|so|ganz|auch|da|das|es|dazu|noch)[, ]+)*"
_CANNOT = r"(?:cannot|can't|cant|can not|could not|couldn't|would not|wouldn't)"
_ICH_KANN = r"(?:(?:kann|könnte) ich|ich (?:kann|könnte)|können wir|wir können)"
_ICH_WEISS = r"(?:weiss ich|ich weiss|wissen wir|wir wissen|(?:verstehe|erinnere) ich|ich verstehe)"


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(rf"\b(?:{pattern})\b" for pattern in patterns))


_LOSS = _any_of(
    rf"(?:i|we) {_VERY}(?:do not|don't|dont|did not|didn't) {_VERY}(?:know|remember|recall|understand)",
    rf"(?:i|we) {_VERY}{_CANNOT} {_VERY}(?:know|say|tell|answer|remember|recall|judge|think of anything)",
    rf"i {_VERY}{_CANNOT} {_VERY}help (?:you|there|here|with)",
    rf"(?:i am|i'm|we are|we're) not {_VERY}(?:knowing|understanding)",
    r"do(?:n't|nt| not) know|dunno|no (?:idea|clue)|(?:have|got) no (?:real )?(?:idea|clue|answer|opinion)",
    r"nothing (?:more |else |further )?to (?:add|say|tell)",
    rf"not {_VERY}(?:sure|certain)|(?:i am|i'm) (?:unsure|uncertain)|not my (?:area|department|field)",
    rf"i(?: would|'d| will|'ll) {_VERY}(?:have|need) to (?:ask|check|look (?:it|that|this) up|find (?:it |that )?out)",
    rf"{_ICH_WEISS} {_GANZ}nicht|keine (?:ahnung|idee|antwort)|nichts (?:mehr |weiter )?(?:hinzuzufügen|zu sagen)",
    rf"{_ICH_KANN} (?:(?:ihnen|dir) )?{_GANZ}nicht {_GANZ}(?:sagen|beantworten|beurteilen)",
    rf"(?:bin|sind) (?:ich |wir )?(?:mir |uns )?{_GANZ}nicht {_GANZ}sicher|überfragt|muss ich (?:leider )?passen",
    rf"müsste(?:n)? (?:ich|wir) {_GANZ}(?:erst |mal |jemanden )*(?:nach)?(?:fragen|schauen|sehen)",
    rf"(?:ich|wir) müsste(?:n)? {_GANZ}(?:erst |mal |jemanden )*(?:nach)?(?:fragen|schauen|sehen)",
)
"""Having no answer."""

_ASIDE = _any_of(
    r"(?:that|this)(?:'s| is) (?:really )?(?:a |an )?(?:really |very )?(?:good|hard|difficult|tricky|interesting|great)"
    r" (?:question|one)|good question",
    r"let me (?:just )?(?:think|see)(?: about (?:it|that|this))?(?: for a (?:moment|second|minute))?",
    r"where (?:do|shall|should) i (?:even )?(?:begin|start)|how (?:shall|should|can) i (?:put|say|explain) (?:it|this)",
    r"i(?:'ll| will| can)? ?try to explain(?: it| that| this)?|so it is|you know|thank you|thanks",
    r"i hope (?:that|this|it) (?:helps?|is clear)|we (?:can )?(?:go|move) on",
    r"(?:nobody|no one) (?:has |had )?(?:ever |really )*(?:asked|told) (?:me|us)(?: about)?(?: that| this| it)?"
    r"(?: before)?",
    r"gute frage|mal (?:sehen|überlegen)|(?:lass|lassen sie) mich (?:mal |kurz )*(?:überlegen|nachdenken)",
    r"wo (?:fange|soll) ich (?:da )?(?:nur )?(?:an|anfangen|beginnen)|wie soll ich (?:das |es )?(?:sagen|erklären)",
    r"ich versuche(?: es| das)? zu erklären|so ist es",
    r"das hat mich (?:noch )?(?:nie (?:jemand|einer)|niemand|keiner)(?: je)? gefragt",
)
"""Thinking aloud."""

_HEDGE = _any_of(
    r"i (?:think|believe|guess|suppose|assume)|as far as i (?:know|remember|can tell)",
    r"if i (?:remember|recall|am|'m)(?: it)? (?:rightly|right|correctly|well|not (?:wrong|mistaken))",
    r"ich (?:glaube|denke|vermute)|(?:glaube|denke) ich|so(?:weit|viel) ich weiss",
    r"wenn ich mich (?:recht|richtig) erinnere",
)
"""Being unsure of what is said next."""

_COMMAND = re.compile(
    r"\W*(?:(?:well|um+|uh+|hm+|sorry|okay|ok|oh|naja|äh+)[,.! ]+)?(?:let's |please )?"
    r"(?:skip(?: it| this| that)?|pass|next(?: question)?|go on|move on|continue|that(?:'| i)s (?:all|it|everything)|"
    r"(?:really |honestly )?nothing (?:else|more|further)|weiter|nächste frage|nichts (?:weiter|mehr)|das war's|"
    r"das (?:ist|war|wäre) alles)(?:[, ]+(?:please|thanks?|thank you|sorry|really|bitte|danke|leider))?[\s.!,]*"
)
"""Wanting to go on."""

_FEW = "well oh ah hm hmm um uh er so now and but okay ok naja tja äh also nun und aber"
_YES_AND_NO = "yes yeah right exactly no ja genau nein"
_MANY = """
    i i'm i'd i've i'll me my you it it's that that's this there here the a an or if to of for about with in who when
    how many much long often soon am is are was be been have has had do does did can could would will should might we
    us our let really honestly honest actually just quite very completely entirely exactly exact too ever yet again
    anyway unfortunately sadly afraid sorry maybe perhaps right moment else know knew say said tell told asked answer
    answers question questions number figure help love like wish glad happy think thought sure certain mean understand
    please good fair hard difficult tricky interesting try explain guess suppose believe forgive excuse pardon
    somebody someone anybody anyone
    ich habe hab mir mich es das dies dazu da dir ihnen ist bin war wäre kann könnte würde leider ehrlich gesagt gerade
    jetzt im moment genau gern gerne helfen sagen weiss wissen gefragt frage antwort gute schwierig schwer verstehe
    bitte danke oder doch wirklich nur auch mal vielleicht tut leid entschuldigung ganz sicher wir uns jemanden erst
    darüber davon
"""
_INTERJECTIONS = frozenset(_FEW.split())
_ASSENT = frozenset(_YES_AND_NO.split())
_YES_OR_NO = _ASSENT - {"right"}
TALK = _INTERJECTIONS | frozenset(_MANY.split())
"""What may stand around it. None of it could be an answer by itself: no nobody, never, sometimes, today, not."""

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_TRAILING_BUT = re.compile(r",? (?:but|aber)\W*$", re.IGNORECASE)
_NO_FIRST = re.compile(r"^\W*(?:no|nope|nein)[,.!]+")


def is_at_a_loss(text: str) -> bool:
    """Whether somebody says that they have no answer, or wants to go on, and says nothing else."""
    plain = _plain(text)
    return bool(_COMMAND.fullmatch(plain)) or _is_only(_NO_FIRST.sub("", plain), _LOSS, TALK)


def is_unsure(sentence: str) -> bool:
    """Whether a sentence only says that somebody is not sure, or does not know."""
    plain = _plain(sentence)
    return _is_only(plain, _HEDGE, TALK) or _is_only(plain, _LOSS, TALK)


def substance(text: str, *, assent_counts: bool = False) -> str:
    """The text without sentences in which somebody only thinks aloud; as it is if there is no other.

    `assent_counts`: a yes or no among them answers something and is kept. A beginning that only says how sure somebody
    is stands in brackets behind the first statement.
    """
    found = [
        (sentence, "" if not _is_aside(sentence) else _assent_in(sentence) if assent_counts else None)
        for sentence in sentences(text)
    ]
    kept = [sentence if assent == "" else assent for sentence, assent in found if assent is not None]
    if all(assent != "" for _, assent in found):
        return text
    return " ".join(_with_doubt_behind(kept)) if kept else text


def gist(text: str) -> str:
    """The text without sentences that only say how sure somebody is; as it is if there is no other."""
    return _without(text, is_unsure)


def statements(text: str) -> list[str]:
    """The sentences; what only says how sure somebody is goes with what it is said of: the next, or else the last."""
    found: list[str] = []
    held = ""
    for sentence in sentences(text):
        if found and sentence.startswith("(") and is_unsure(sentence):
            found[-1] += f" {sentence}"
            continue
        joined = f"{held} {sentence}".strip()
        held = joined if is_unsure(sentence) else ""
        if not held:
            found.append(joined)
    if not held:
        return found
    return [*found[:-1], f"{found[-1]} {held}" if found else held]


def _without(text: str, is_left_out: Callable[[str], bool]) -> str:
    found = sentences(text)
    kept = [sentence for sentence in found if not is_left_out(sentence)]
    return " ".join(kept) if kept and len(kept) < len(found) else text


def _is_aside(sentence: str) -> bool:
    return _is_only(_plain(sentence), _ASIDE, _INTERJECTIONS | _ASSENT)


def _assent_in(sentence: str) -> str | None:
    """The yes or no that a sentence begins with, as a sentence; None if it has none."""
    first = _WORD.search(sentence)
    return f"{first[0]}." if first and first[0].casefold() in _YES_OR_NO else None


def _with_doubt_behind(found: list[str]) -> list[str]:
    if len(found) < 2 or not is_unsure(found[0]) or is_unsure(found[1]):
        return found
    doubt = _TRAILING_BUT.sub("", found[0]).rstrip(" .,")
    return [found[1], f"({doubt}.)", *found[2:]]


def _is_only(plain: str, phrases: re.Pattern[str], others: AbstractSet[str]) -> bool:
    """Whether one of the phrases is there, and besides only asides and the other words."""
    if len(plain) > _LONGEST_CHARS:
        return False
    rest, count = phrases.subn(" ", plain)
    return count > 0 and _holds_only(_ASIDE.sub(" ", rest), others)


def _holds_only(plain: str, known: AbstractSet[str]) -> bool:
    return all(word in known for word in _WORD.findall(plain))


def _plain(text: str) -> str:
    return collapsed(text).casefold().replace("\u2019", "'")
