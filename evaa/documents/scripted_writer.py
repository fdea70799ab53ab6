"""The document writer without a model: a whole BRD from the user's own words under each heading, nothing invented.

What is written is the user's words, questions of the interview, and a few fixed words that say which is which. What
nobody said stays empty, and what was asked in vain, or what a builder needs besides, stands among the open questions.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from evaa.documents import answers, small_talk, systems
from evaa.documents.answers import Answer, Contradiction, OpenQuestion
from evaa.documents.catalogue import BY_KEY, TEXT, Column
from evaa.documents.checking import MAX_ENTRIES, MAX_FIELD_CHARS
from evaa.documents.placement import Place, places_of, topic_of
from evaa.documents.questions import sentences, shortened
from evaa.documents.scripted_review import NAME, kept, revised
from evaa.documents.topics import label_of
from evaa.documents.words import Vocabulary, is_content, language_of
from evaa.documents.words import words as words_of
from protocols.records import Interview
from protocols.writing import DraftEntry, WritingBrief, Written

ASKED_IN_VAIN = "It was asked, and not answered."
NEVER_ASKED = "It was not asked."
BOTH_SAID = "Both were said, and only one of them holds."
NEEDED: tuple[tuple[str, str, str], ...] = (
    (
        "How does the automation sign in to each of the systems?",
        "It cannot be built without access.",
        r"sign(s|ed|ing)? ?in\b|log(s|ged|ging)? ?in\b|password|oauth|api.?key|token|credential|anmeld",
    ),
    (
        "What should the automation do when something goes wrong: try again, skip the case, or wait for a person?",
        "Each error needs a reaction.",
        r"try again|tries again|retr(y|ies)|skip|wait for|hold|put (it )?aside|wiederhol|überspring",
    ),
    (
        "How long may the data be kept?",
        "What is stored has to be deleted in time.",
        r"\bkeep|\bkept|retention|retain|delet|archiv|aufbewahr|lösch",
    ),
    (
        "Which of the requirements are indispensable, and which could wait?",
        "The order of the work depends on it.",
        r"must.have|nice.to.have|priorit|indispensable|could wait|first of all",
    ),
)
"""What a builder needs besides: the question, why, and the words by which one sees that it was spoken of."""

_SUMMED_UP = ((1, 0), (1, 1), (2, 0), (3, 3), (8, 0))
"""The questions whose answers are the summary."""

_SUMMED_UP_BEHIND_LABELS = ((3, 3), (8, 0))
"""Those of them whose answers hardly speak for themselves."""

_ONE_PIECE_CHARS = 240
_PIECE_CHARS = 1_000
_TITLE_CHARS = 90
_SUMMARY_CHARS = 300
_PROJECT_CHARS = 1_200

_KINDS: tuple[tuple[str, str], ...] = (
    ("approval", r"approv\w*|signs? (it |them )?off|releases?|gibt \w+ frei|freig\w+"),
    ("decision", r"if|whether|decides?|depending|falls|ob|entscheide\w*"),
    ("wait", r"waits?|warte\w*"),
    (
        "notify",
        r"sends?|tells?|notif\w+|informs?|e-?mails? (it|them|him|her)|calls?|messages? (him|her|them)|schick\w*",
    ),
    (
        "write",
        r"enters?|types?|saves?|stores?|writes?|books?|creates?|updates?|uploads?|files|puts?|adds?|trägt|tippe\w*|buch(?:t|e|en)|leg(?:t|e|en)|speicher\w*|erfass\w*",
    ),
    (
        "read",
        r"opens?|reads?|downloads?|receives?|looks?|checks?|gets?|collects?|exports?|öffne\w*|lese\w*|liest|prüf\w*",
    ),
)
"""Kinds of steps by plain words, the more telling first."""

_ENDS = tuple('.!?:;\u2026\u3002\uff01\uff1f)"\u201d')
"""What a sentence may end with; any other gets a full stop, or the next would go on in it."""

_EXPLAINED = re.compile(
    r"\b([A-Z][A-Z0-9]{1,9})\b(?: \(([^()]{3,200})\)|,? (?:means|stands for|is short for|steht für) ([^.;!?()]{3,200}))"
)
_CONDITION = re.compile(r"(?:If|When|Whenever|Wenn|Falls|Immer wenn) ", re.IGNORECASE)
_CLAUSE = r"(?:(?!, |[.!?;:] ).)+"
_CONDITIONAL = re.compile(
    rf"(?:If|When|Whenever) ({_CLAUSE}), (?:then )?({_CLAUSE})|(?:Wenn|Falls) ({_CLAUSE}), (dann {_CLAUSE})",
    re.IGNORECASE,
)
"""A condition and what follows from it: told apart where there is just one comma."""


def write(brief: WritingBrief) -> Written:
    """Return what a job comes to."""
    if brief.job.task != "project":
        return Written(_lists(brief), NAME)
    told = " ".join(answer.text for answer in answers.said(brief.interview))
    return Written(_lists(brief), NAME, language=language_of(told))


def _lists(brief: WritingBrief) -> dict[str, tuple[DraftEntry, ...]]:
    match brief.job.task:
        case "stage":
            return _stage(brief.interview, brief.job.key)
        case "project":
            return {"project": tuple(_project(brief.interview))}
        case "section":
            return {"entries": _section(brief)}


# --- summary ------------------------------------------------------------------------------------------------------


def _stage(interview: Interview, stage_id: str) -> dict[str, tuple[DraftEntry, ...]]:
    """A contradiction is what the user corrected unclearly: to see another, the answers would have to be understood."""
    stages = [stage for stage in interview.stages if stage.stage_id == stage_id]
    established = [
        DraftEntry({TEXT.key: piece}, answer.turns, "stated")
        for answer in answers.said(interview)
        if answer.stage.stage_id == stage_id
        for piece in _pieces(answer)
    ]
    contradictions = [it for it in answers.contradictions(interview) if it.stage.stage_id == stage_id]
    unanswered = [question for stage in stages for question in answers.open_in(interview, stage)]
    return {
        "established": _fitted(established, (TEXT,)),
        "contradictions": _fitted([DraftEntry({TEXT.key: _sides(it)}, it.turns) for it in contradictions], (TEXT,)),
        "open": _fitted([_left_open(question) for question in unanswered], (TEXT,)),
    }


def _left_open(question: OpenQuestion) -> DraftEntry:
    return DraftEntry({TEXT.key: f"{question.question} {_why_open(question)}"}, question.turns)


def _sides(it: Contradiction) -> str:
    return f"“{_side(it.earlier)}” ({_turns(it.earlier_turns)}), or “{_side(it.later)}” ({_turns(it.later_turns)})"


def _side(text: str) -> str:
    return text if len(text) <= _PIECE_CHARS else f"{_cut([text], _PIECE_CHARS)[0]}…"


def _turns(turns: Sequence[int]) -> str:
    return f"turn{'s' if len(turns) > 1 else ''} {', '.join(map(str, turns))}"


def _project(interview: Interview) -> Iterator[DraftEntry]:
    """A paragraph of what was answered in the first stage."""
    told = [answer for answer in answers.said(interview) if answer.stage in interview.stages[:1]]
    pieces = [(piece, answer.turns) for answer in told for piece in _cut(_statements(answer), _PIECE_CHARS)]
    text, turns = "", dict[int, None]()
    for piece, sources in pieces:
        if text and len(text) + len(piece) > _PROJECT_CHARS:
            break
        text += f" {piece}" if text else piece
        text += "" if text.endswith(_ENDS) else "."
        turns |= dict.fromkeys(sources)
    if text:
        yield DraftEntry({TEXT.key: text}, tuple(turns), "stated")


# --- sections -----------------------------------------------------------------------------------------------------


def _section(brief: WritingBrief) -> tuple[DraftEntry, ...]:
    key = brief.job.key
    drafts = list(_WRITERS.get(key, _placed)(key, brief.interview))
    if brief.correction:
        if brief.previous is not None and (brief.previous.entries or not brief.previous.missing):
            drafts = kept(brief.previous)
        drafts = revised(key, drafts, brief.correction, brief.interview)
    return _fitted(drafts, BY_KEY[key].columns)


def _placed(section: str, interview: Interview) -> Iterator[DraftEntry]:
    """Every answer that belongs into a section, a sentence an entry where it is long."""
    for answer in answers.said(interview):
        for place in places_of(answer):
            if place.section == section:
                yield from _entries(answer, place)


def _entries(answer: Answer, place: Place) -> Iterator[DraftEntry]:
    kind = BY_KEY[place.section]
    headline = kind.columns[0].key
    if kind.layout == "cards":
        yield from _rules(answer, headline, place) if place.by_sentence else [_card(answer, place, headline)]
        return
    labels, column = place.labels, place.column
    if headline not in (column, *labels, *place.choices):
        labels = {headline: label_of(answer.question) or answer.question} if answer.was_asked_in_a_reply else {}
        column = column if labels else headline
    choices = place.choices | ({"personal": "no"} if answer.is_no and "personal" in place.choices else {})
    needs_context = not labels and (place.needs_context or answer.is_bare)
    for piece in _pieces(answer, by_sentence=place.by_sentence, needs_context=needs_context):
        yield DraftEntry({**choices, **labels, column: piece}, answer.turns, "stated")


def _card(answer: Answer, place: Place, headline: str) -> DraftEntry:
    """Words under a label, or else under their own beginning; of a very long answer the rest stands elsewhere."""
    fields = {headline: _brief(answer, _TITLE_CHARS), **place.labels, place.column: _side(answer.text)}
    return DraftEntry(fields, answer.turns, "stated")


def _rules(answer: Answer, headline: str, place: Place) -> Iterator[DraftEntry]:
    """Those statements that name a condition, with what follows from it; all of them stand among the rules, too."""
    for text in answer.statements:
        title = shortened(text, _TITLE_CHARS)
        if parts := _CONDITIONAL.fullmatch(text) if title == text else None:
            when, then = map(_as_sentence, filter(None, parts.groups()))
            yield DraftEntry({headline: title, "when": when, "then": then}, answer.turns, "stated")
        elif _CONDITION.match(text) and title != text:
            yield DraftEntry({headline: title, place.column: _side(text)}, answer.turns, "stated")


def _as_sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _brief(answer: Answer, most_chars: int) -> str:
    """A short answer with its question, or the beginning of a long one."""
    return answer.in_context if answer.in_context != answer.text else _beginning(answer.text, most_chars)


def _beginning(text: str, most_chars: int) -> str:
    """The sentences that fit, but not those that say only how sure somebody is."""
    first, *others = sentences(small_talk.gist(text)) or [""]
    begun = shortened(first, most_chars)
    for sentence in others:
        if begun != first or len(begun) + len(sentence) >= most_chars:
            break
        begun = first = f"{begun} {sentence}"
    return begun


def _integrations(section: str, interview: Interview) -> Iterator[DraftEntry]:
    """What was said of the systems, each sentence under the names in it."""
    for entry in _placed(section, interview):
        words = entry.fields.get("purpose", "") or entry.fields["system"]
        names = ", ".join(systems.names_in(words))
        fields = {"system": names, "purpose": words} if names else entry.fields
        yield msgspec.structs.replace(entry, fields=fields)


def _executive_summary(section: str, interview: Interview) -> Iterator[DraftEntry]:
    told = answers.said(interview)
    for topic in _SUMMED_UP:
        answer = next((answer for answer in told if topic_of(answer) == topic and not answer.is_bare), None)
        if answer is not None:
            words = _brief(answer, _SUMMARY_CHARS)
            label = label_of(answer.question) if topic in _SUMMED_UP_BEHIND_LABELS else ""
            needs_label = label and not any(map(Vocabulary(words).holds, filter(is_content, words_of(label))))
            yield DraftEntry({TEXT.key: f"{label}: {words}" if needs_label else words}, answer.turns, "stated")


def _solution(section: str, interview: Interview) -> Iterator[DraftEntry]:
    """A skeleton: the trigger, then today's steps in their order. That it will run like this is a conclusion."""
    told = answers.said(interview)
    named = [answer.text for answer in told if topic_of(answer) in ((4, 0), (4, 1))]
    names = systems.names_in("\n".join(named))
    starts = [answer for answer in told if topic_of(answer) in ((2, 0), (2, 1)) and not answer.is_bare]
    if starts:
        words = "\n".join(answer.text if topic_of(answer) == (2, 0) else answer.in_context for answer in starts)
        yield _step(words[:MAX_FIELD_CHARS], [turn for answer in starts for turn in answer.turns], "trigger", names)
    for answer in told:
        if topic_of(answer) == (3, 0) and not answer.is_bare:
            for words in _cut(answer.statements, _PIECE_CHARS):
                yield _step(words, answer.turns, _kind_of_step(words), names)


def _step(words: str, turns: Iterable[int], kind: str, names: Sequence[str]) -> DraftEntry:
    """A step under its beginning, in full beside it where that is not all."""
    title = shortened(small_talk.gist(words), _TITLE_CHARS)
    fields = {"step": title, "kind": kind, "system": ", ".join(systems.mentioned(words, names))}
    return DraftEntry(fields | ({"detail": words} if words != title else {}), tuple(turns), "inferred")


def _kind_of_step(sentence: str) -> str:
    return next(
        (kind for kind, words in _KINDS if re.search(rf"\b(?:{words})\b", sentence, re.IGNORECASE)), "transform"
    )


def _open_questions(section: str, interview: Interview) -> Iterator[DraftEntry]:
    for it in answers.contradictions(interview):
        yield DraftEntry({"question": f"Which of these holds: {_sides(it)}?", "reason": BOTH_SAID}, it.turns)
    for question in answers.open_questions(interview):
        yield DraftEntry({"question": question.question, "reason": _why_open(question)}, question.turns)
    told = "\n".join(answer.text for answer in answers.said(interview))
    for question_text, reason, spoken_of in NEEDED:
        if not re.search(spoken_of, told, re.IGNORECASE):
            yield DraftEntry({"question": question_text, "reason": reason})


def _why_open(question: OpenQuestion) -> str:
    return ASKED_IN_VAIN if question.turns else NEVER_ASKED


def _glossary(section: str, interview: Interview) -> Iterator[DraftEntry]:
    """Only abbreviations that the user explained."""
    known: set[str] = set()
    for answer in answers.said(interview):
        for term, in_brackets, in_words in _EXPLAINED.findall(answer.text):
            if term not in known:
                known.add(term)
                meaning = (in_brackets or in_words).strip()
                yield DraftEntry({"term": term, "meaning": meaning}, answer.turns, "stated")


_WRITERS: dict[str, Callable[[str, Interview], Iterable[DraftEntry]]] = {
    "executiveSummary": _executive_summary,
    "integrations": _integrations,
    "openQuestions": _open_questions,
    "solution": _solution,
    "glossary": _glossary,
}


# --- what fits ----------------------------------------------------------------------------------------------------


def _pieces(answer: Answer, *, by_sentence: bool = False, needs_context: bool = True) -> list[str]:
    """A short answer as it is, or behind its question; a long one by sentences."""
    if needs_context and answer.in_context != answer.text:
        return [answer.in_context]
    return (
        [answer.text]
        if len(answer.text) <= _ONE_PIECE_CHARS and not by_sentence
        else _cut(answer.statements, _PIECE_CHARS)
    )


def _statements(answer: Answer) -> list[str]:
    return [answer.in_context] if answer.in_context != answer.text else answer.statements


def _cut(texts: Sequence[str], most_chars: int) -> list[str]:
    """The texts, longer ones cut between words, or evenly where there are none."""
    return [piece for text in texts for piece in _pieces_of(text, most_chars)]


def _pieces_of(text: str, most_chars: int) -> Iterator[str]:
    while len(text) > most_chars:
        even = -(-len(text) // -(-len(text) // most_chars))
        at = text.rfind(" ", even // 2, even + 1)
        at = at if at > 0 else even
        yield text[:at]
        text = text[at:].lstrip(" ")
    if text:
        yield text


def _fitted(drafts: list[DraftEntry], columns: Sequence[Column]) -> tuple[DraftEntry, ...]:
    """At most as many entries as may be: neighbours are joined where there are more."""
    while len(drafts) > MAX_ENTRIES:
        fewer = list(_joined(drafts, columns, len(drafts) - MAX_ENTRIES))
        if len(fewer) == len(drafts):
            break
        drafts = fewer
    return tuple(drafts)


def _joined(drafts: Sequence[DraftEntry], columns: Sequence[Column], too_many: int) -> Iterator[DraftEntry]:
    held: DraftEntry | None = None
    for draft in drafts:
        pair = _pair(held, draft, columns) if held is not None and too_many > 0 else None
        if pair is not None:
            yield pair
            held, too_many = None, too_many - 1
            continue
        if held is not None:
            yield held
        held = draft
    if held is not None:
        yield held


def _pair(one: DraftEntry, other: DraftEntry, columns: Sequence[Column]) -> DraftEntry | None:
    """Two entries as one; None if that would be too long."""
    fields = {}
    for column in columns:
        values = [value for entry in (one, other) if (value := entry.fields.get(column.key, ""))]
        if column.choices:
            fields[column.key] = values[0] if len(set(values)) == 1 else ""
        else:
            fields[column.key] = "\n".join(dict.fromkeys(values))
    if any(len(value) > MAX_FIELD_CHARS for value in fields.values()):
        return None
    return DraftEntry(fields, tuple(dict.fromkeys((*one.source_turns, *other.source_turns))), one.status, one.entry_id)
