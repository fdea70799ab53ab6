"""Which sections an answer belongs into, and which column: by the question that it answers.

The questions of the default stages are known by heart. Of any other question, key words of it, and of its stage, tell
which known one it is most like; an answer whose stage says nothing stands among what is in scope, behind its question.

A label says in words of the question what the answer is about; it stands in another column of the same entry.
"""

import re

import msgspec

from evaa.documents.exchanges import Answer
from evaa.documents.topics import LABELS, NO_TOPIC, Topic, default_questions
from evaa.interview.stages import default_stages
from protocols.records import Stage


class Place(msgspec.Struct, frozen=True):
    """Where an answer goes: a section, the column of its words, and what stands in other columns beside them.

    `by_sentence`: each sentence is an entry of its own, however short the answer. `needs_context`: a short answer
    stands behind its question, since nothing beside it says what it is about.
    """

    section: str
    column: str
    labels: dict[str, str] = {}
    choices: dict[str, str] = {}
    by_sentence: bool = False
    needs_context: bool = True


_EXAMPLE = (5, 2)
_PRIVATE = re.compile(
    r"\b(?:confidential|personal|private|secret|vertraulich\w*|personenbezogen\w*|geheim\w*)\b", re.IGNORECASE
)
"""Who is asked for an example without what is private may speak of what is private instead."""

ELSEWHERE = (Place("scopeIn", "text"),)

_STEP = {"aspect": "step"}
_VOLUME = {"aspect": "volume"}
_CANNOT_GO_ON = "The automation cannot carry on by itself"


def _plain(section: str, column: str, *, choices: dict[str, str] | None = None, by_sentence: bool = False) -> Place:
    """A place that says by itself what an answer there is about."""
    return Place(section, column, choices=choices or {}, by_sentence=by_sentence, needs_context=False)


def _card(topic: Topic, **labels: str) -> Place:
    return Place("requirements", "then", {"title": LABELS[topic], **labels})


PLACES: dict[Topic, tuple[Place, ...]] = {
    (1, 0): (_plain("scopeIn", "text"), _card((1, 0))),
    (1, 1): (_plain("problem", "text"), _plain("currentProcess", "text", choices={"aspect": "pain"})),
    (1, 2): (Place("stakeholders", "role", {"part": "Uses it, or feels the benefit of it"}),),
    (1, 3): (_plain("objectives", "objective"),),
    (2, 0): (
        _plain("futureProcess", "text", choices={"aspect": "trigger"}),
        Place("requirements", "when", {"title": LABELS[2, 0], "then": "The automation gets going."}),
    ),
    (2, 1): (Place("futureProcess", "text", choices={"aspect": "trigger"}),),
    (2, 2): (Place("nonFunctional", "requirement", {"quality": LABELS[2, 2]}),),
    (2, 3): (
        Place("businessRules", "rule"),
        Place("requirements", "when", {"title": LABELS[2, 3], "then": "The automation should stay quiet."}),
    ),
    (3, 0): (_plain("currentProcess", "text", choices=_STEP, by_sentence=True),),
    (3, 1): (
        Place("currentProcess", "text", choices=_STEP),
        Place("stakeholders", "role", {"part": "Takes part along the way"}),
    ),
    (3, 2): (Place("businessRules", "rule", by_sentence=True),),
    (3, 3): (_plain("futureProcess", "text", choices={"aspect": "result"}), _card((3, 3))),
    (4, 0): (_plain("integrations", "purpose", by_sentence=True),),
    (4, 1): (Place("integrations", "purpose", by_sentence=True), _card((4, 1))),
    (4, 2): (
        Place("dependencies", "text"),
        Place("stakeholders", "role", {"part": "Looks after the accounts, and could give access to them"}),
    ),
    (4, 3): (Place("constraints", "text"),),
    (5, 0): (_plain("data", "field", choices={"personal": "unknown"}),),
    (5, 1): (_plain("businessRules", "rule", by_sentence=True), Place("requirements", "then", by_sentence=True)),
    (5, 2): (Place("data", "example", {"field": LABELS[5, 2]}, {"personal": "unknown"}),),
    (5, 3): (Place("data", "meaning", {"field": LABELS[5, 3]}, {"personal": "unknown"}),),
    (6, 0): (_plain("errorHandling", "failure"),),
    (6, 1): (
        Place("errorHandling", "alert", {"failure": _CANNOT_GO_ON}),
        _card((6, 1), when=_CANNOT_GO_ON),
    ),
    (6, 2): (
        Place("businessRules", "rule"),
        _card((6, 2), given="Before the automation goes ahead"),
        Place("stakeholders", "role", {"part": "Has to check or approve before the automation goes ahead"}),
    ),
    (6, 3): (_plain("risks", "risk"),),
    (7, 0): (
        Place("nonFunctional", "requirement", {"quality": LABELS[7, 0]}),
        Place("currentProcess", "text", choices=_VOLUME),
    ),
    (7, 1): (
        Place("nonFunctional", "requirement", {"quality": LABELS[7, 1]}),
        Place("currentProcess", "text", choices=_VOLUME),
    ),
    (7, 2): (Place("currentProcess", "text", choices=_VOLUME),),
    (7, 3): (
        Place("constraints", "text"),
        Place("nonFunctional", "requirement", {"quality": LABELS[7, 3]}),
    ),
    (8, 0): (
        _plain("objectives", "objective"),
        Place("acceptanceTests", "expected", {"title": LABELS[8, 0], "steps": "A few months after it has started"}),
    ),
    (8, 1): (Place("constraints", "text"),),
    (8, 2): (Place("constraints", "text"),),
    (8, 3): (Place("stakeholders", "role", {"part": "Has the final word on whether it goes live"}),),
}
"""By the default stage's position and the number of its question. The first place is also for a bare yes or no."""

_OF_PRIVACY = (_plain("data", "field", choices={"personal": "unknown"}),)

_LIKE: dict[int, tuple[tuple[str, int], ...]] = {
    1: ((r"who\b|whom|team", 2), (r"different|better|improve|achieve|goal", 3), (r"bother|slow|problem|cost|pain", 1)),
    2: ((r"not |quiet|ignore|except", 3), (r"soon|fast|quick|long|often", 2), (r"where|which (inbox|program|form)", 1)),
    3: ((r"who\b|whom", 1), (r"deci|choose|depend", 2), (r"end|result|finish|done", 3)),
    4: ((r"who\b|whom|account|access", 2), (r"browser|office|installed|online|cloud", 3), (r"result|end up|store", 1)),
    5: ((r"rule|if |when|limit|exception|decide", 1), (r"example", 2), (r"personal|confidential|privacy|private", 3)),
    6: ((r"approv|check|sign", 2), (r"who\b|whom|told|notif|hear|alert|contact", 1), (r"worst|harm|damage|risk", 3)),
    7: ((r"peak|more than|usual|season|busy", 1), (r"how long|take|minutes", 2), (r"limit|by when|latest|hours", 3)),
    8: ((r"by when|deadline|date", 1), (r"who\b|whom|final word|decide", 3), (r"rule|protect|polic|budget|law", 2)),
}
"""Which question of a stage an unknown one is like, by its words; if none fits, the opening."""

_KINDS = (
    (6, r"error|exception|approv|fail|alert|escalat|went? wrong|fehler|freigabe"),
    (8, r"success|constraint|deadline|budget|acceptance|measure|kpi|erfolg|frist"),
    (7, r"volume|limit|frequen|load|capacit|how many|menge|umfang"),
    (4, r"system|tool|program|software|integration|access|account|zugang"),
    (5, r"data|rule|field|information|logic|daten|regel"),
    (2, r"trigger|start|event|auslöser|beginn"),
    (3, r"step|process|today|current|procedure|schritt|ablauf"),
    (1, r"overview|goal|objective|project|vision|purpose|ziel|überblick"),
)
"""Which of the default stages one of another set is like, by words of its name or else its goal."""


def kind_of(stage: Stage) -> int:
    """The position of the default stage that a stage is, or is like; 0 if it is like none."""
    for position, default in enumerate(default_stages(), start=1):
        if stage.stage_id == default.stage_id:
            return position
    for text in (stage.name, stage.description, stage.goal):
        for position, pattern in _KINDS:
            if re.search(pattern, text, re.IGNORECASE):
                return position
    return 0


def places_of(answer: Answer) -> tuple[Place, ...]:
    """Where an answer goes; at least one place."""
    topic = topic_of(answer)
    if topic == _EXAMPLE and _PRIVATE.search(answer.text):
        return _OF_PRIVACY
    places = PLACES.get(topic, ELSEWHERE)
    if answer.question not in default_questions():
        places = tuple(_unlabelled(place) for place in places)
    return places[:1] if answer.is_bare else places


def topic_of(answer: Answer) -> Topic:
    """The known question that an answer belongs to, or is like; (0, 0) if there is none."""
    if (known := default_questions().get(answer.question)) is not None:
        return known
    kind = kind_of(answer.stage)
    return (kind, _number_like(kind, answer.question)) if kind else NO_TOPIC


def _number_like(kind: int, question: str) -> int:
    return next((number for pattern, number in _LIKE[kind] if re.search(pattern, question, re.IGNORECASE)), 0)


def _unlabelled(place: Place) -> Place:
    """Labels are words of the known question; beside another one they would be invented."""
    return msgspec.structs.replace(place, labels={})
