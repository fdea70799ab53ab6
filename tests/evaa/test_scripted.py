"""The scripted interviewer: a whole interview from what the stages carry."""

import msgspec
import pytest

from evaa.interview.engine import TurnEngine
from evaa.interview.exchange import exchange
from evaa.interview.reducer import MAX_FACT_KEY_CHARS
from evaa.interview.stages import default_stages
from evaa.interview.views import GOODBYE
from evaa.llm import history
from evaa.llm.scripted import ScriptedInterviewer
from protocols.frontend import Completion, Reply, StageData
from protocols.messages import Answered, Ask, ReplyTaken, ReplyWritten, Said
from protocols.ports import Answer, TurnBrief
from protocols.records import Interview, SessionRecord, Stage
from tests.evaa.interviews import SESSION_ID, of_type, record, sent, stages, tell


class Heard:
    """A sink that keeps what it hears."""

    def __init__(self) -> None:
        self.pieces: list[str] = []

    def requested(self) -> None:
        raise AssertionError("no request is made")

    def received(self) -> None:
        raise AssertionError("nothing is received")

    def restarted(self, reason: str) -> None:
        raise AssertionError(reason)

    def text(self, piece: str) -> None:
        self.pieces.append(piece)


async def ask(brief: TurnBrief) -> Answer:
    heard = Heard()
    answer = await ScriptedInterviewer().answer(brief, heard)
    assert "".join(heard.pieces) == answer.text
    return answer


def led_by_script(interview_stages: tuple[Stage, ...]) -> TurnEngine:
    opening = exchange("", interview_stages[0].opening)
    session = SessionRecord(SESSION_ID, Interview(interview_stages), 0, 0, messages=opening)
    return TurnEngine(session, reply_acknowledges=False, wall_ms=lambda: 0)


async def say(engine: TurnEngine, words: str) -> Reply:
    (asked,) = of_type(engine.handle(Said(words, "text", 0.0)), Ask)
    answer = await ask(asked.brief)
    turn = asked.brief.turn
    (reply,) = sent(tell(engine, Answered(turn, answer, 0.0), ReplyTaken(turn), ReplyWritten(turn, 0.0)), Reply)
    return reply


async def test_a_talkative_user_is_asked_every_question_of_every_default_stage_in_order() -> None:
    engine = led_by_script(default_stages())
    questions = [question for stage in default_stages() for question in (stage.opening, *stage.follow_ups)]
    for number, question in enumerate(questions[1:]):
        reply = await say(engine, f"words {number}")
        assert reply.response.endswith(f". {question}")
        assert reply.next_stage == (number % 4 == 3)
        assert isinstance(reply.next_stage_data, StageData) == reply.next_stage
    last = await say(engine, "words at last")
    assert (last.response, last.next_stage_data) == (GOODBYE, Completion(status="drafting"))
    interview = engine.record.interview
    assert len(interview.turns) == 32
    assert all(len(notes) == 4 for notes in interview.facts.values()), "a note for each answer"
    assert len(engine.record.messages) == 1 + 2 * 32


async def test_a_user_with_nothing_to_add_is_asked_each_opening_only() -> None:
    engine = led_by_script(default_stages())
    for stage in default_stages()[1:]:
        assert (await say(engine, "Nothing more.")).response.endswith(stage.opening)
    assert (await say(engine, "That's all")).response == GOODBYE
    assert engine.record.status == "drafting"


@pytest.mark.parametrize(
    ("words", "goes_on"),
    [
        ("No", False),
        ("nothing else.", True),
        ("  Skip it! ", True),
        ("that's all", True),
        ("I don't know.", False),
        ("not sure", False),
        ("next", True),
        ("No, it goes to accounting", False),
        ("Nothing works today", False),
        ("I do not know who, but Anna does", False),
        ("", False),
    ],
)
async def test_plainly_nothing_to_add_is_told_from_an_answer(words: str, goes_on: bool) -> None:
    assert (await ask(brief(words=words))).wants_next == goes_on


@pytest.mark.parametrize("words", ["I have nothing to add there.", "No idea.", "Keine Ahnung", "Nothing more.", "skip"])
@pytest.mark.parametrize("turn", range(1, 6))
async def test_nobody_is_thanked_for_having_no_answer(words: str, turn: int) -> None:
    asked = msgspec.structs.replace(brief(words=words), turn=turn)
    assert (await ask(asked)).text.partition(".")[0] in ("That is fine", "No problem", "That does not matter")
    thanked = msgspec.structs.replace(asked, words="Nobody approves it.")
    assert (await ask(thanked)).text.partition(".")[0] in (
        "Thank you",
        "Got it",
        "Understood",
        "All right",
        "Thanks, noted",
    )


def brief(*, words: str = "words", used: int = 0, left: int = 3, interview: SessionRecord | None = None) -> TurnBrief:
    first, second = (interview or record(3, 3)).interview.stages
    return TurnBrief(
        session_id=SESSION_ID,
        turn=1,
        stage=first,
        position=1,
        total_stages=2,
        follow_ups_used=used,
        follow_ups_left=left,
        next_stage=second,
        established={},
        words=words,
        history=(),
    )


async def test_no_follow_ups_left_goes_on_even_where_the_stage_has_more_questions() -> None:
    answer = await ask(brief(used=1, left=0))
    assert answer.wants_next
    assert answer.text.endswith("Opening 2?")


async def test_a_stage_with_fewer_questions_than_follow_ups_goes_on_when_they_are_asked() -> None:
    first, second = stages(2, 3)
    short = SessionRecord(SESSION_ID, Interview((first, second)), 0, 0)
    assert (await ask(brief(used=2, left=1, interview=short))).wants_next


async def test_the_note_is_the_users_words_under_the_question_that_they_answer() -> None:
    assert (await ask(brief(words="Invoices"))).facts == {"Opening 1?": "Invoices"}
    assert (await ask(brief(words="Invoices", used=2))).facts == {"Follow-up 1.2?": "Invoices"}


async def test_the_history_has_the_form_that_a_model_can_go_on_from() -> None:
    answer = await ask(brief(words="Invoices"))
    written = exchange("Invoices", answer.text, closes=answer.wants_next, facts=answer.facts)
    request, response = (history.load_message(text) for text in written)
    assert request == history.load_message(history.dump([request])[0])
    assert response.parts[0].content.startswith(f"@stay\n{answer.text}\n@facts {{")  # type: ignore[union-attr]
    assert (answer.model, answer.followed_protocol, answer.usage.output_tokens) == ("scripted", True, 0)


def test_the_questions_of_the_default_set_make_different_notes() -> None:
    for stage in default_stages():
        keys = {question[:MAX_FACT_KEY_CHARS] for question in (stage.opening, *stage.follow_ups)}
        assert len(keys) == 4
