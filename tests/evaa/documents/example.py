"""A BRD as it may come out of a real interview: the invoices of a dental practice."""

from evaa.documents.catalogue import BY_KEY, TEXT
from protocols.documents import Brd, Entry, EntryStatus, Section, StageSummary, Summary
from protocols.records import TurnRecord
from tests.evaa.documents.example_sections import ROWS, Row
from tests.evaa.documents.example_turns import SAID

SESSION_ID = "5e1a0000000000000000beef"
_STATUS: dict[str, EntryStatus] = {"s": "stated", "i": "inferred", "c": "confirmed"}


def entry(entry_id: str, columns: tuple[str, ...], row: Row) -> Entry:
    """A row is its status by its first letter, its turns, and a text for each column."""
    status, turns, *texts = row
    return Entry(entry_id, dict(zip(columns, texts, strict=True)), turns, _STATUS[status])


def section(key: str, rows: tuple[Row, ...]) -> Section:
    kind = BY_KEY[key]
    columns = tuple(column.key for column in kind.columns)
    return Section(key, tuple(entry(f"{kind.prefix}-{n}", columns, row) for n, row in enumerate(rows, 1)))


def notes(prefix: str, *rows: Row) -> tuple[Entry, ...]:
    return tuple(entry(f"{prefix}-{number}", (TEXT.key,), row) for number, row in enumerate(rows, 1))


TURNS = tuple(
    TurnRecord(number, f"5e1a0000000000000000000{min(8, 1 + (number - 1) // 3)}", "voice", text, 0)
    for number, text in enumerate(SAID, 1)
)

BRD = Brd(
    brd_id=f"BRD-{SESSION_ID}",
    version=2,
    session_id=SESSION_ID,
    title="Incoming supplier invoices are filed, booked and paid without being typed in by hand",
    language="en",
    created_at_ms=1_796_000_000_000,
    up_to_turn=25,
    sections=(
        *(section(key, rows) for key, rows in ROWS.items()),
        Section("risks", missing="The model did not answer in time, three times in a row."),
    ),
    change="Invoices over 2,000 euros are approved by Dr. Okafor rather than by the office manager.",
    written_by=("openai/gpt-oss-20b", "openai/gpt-oss-120b"),
)

CONFIRMED = Brd(
    **{field: getattr(BRD, field) for field in BRD.__struct_fields__}
    | {"state": "confirmed", "confirmed_at_ms": 1_796_000_600_000, "confirmed_in_turn": 25}
)

SUMMARY = Summary(
    project=notes("P", (
        "s", (1, 2, 4),
        "A dental practice with three locations wants supplier invoices that arrive by e-mail to be read, checked,"
        " entered into DATEV and filed without anybody typing them. Today the office manager types about forty a week"
        " and twice last year an invoice was paid twice.",
    ))[0],
    stages=(
        StageSummary(
            "5e1a00000000000000000001", "Overview and goal",
            established=notes(
                "S1", ("s", (1,), "About forty supplier invoices a week are typed into DATEV by hand."),
                ("s", (2,), "Two invoices were paid twice last year; one was for 3,480 euros."),
                ("i", (1, 3), "The office manager gains the most from it: about six hours a week."),
            ),
            open=notes("S1-O", ("i", (3,), "Whether the laboratory's collective invoices are part of it.")),
        ),
        StageSummary(
            "5e1a00000000000000000002", "Trigger",
            established=notes(
                "S2", ("s", (4,), "It begins with an e-mail with a PDF at rechnung@praxis-okafor.example."),
                ("s", (5,), "Reminders and advertisements must not start it."),
            ),
            contradictions=notes("S2-C", (
                "s", (4, 6), "First it should start at once; later “once in the evening is enough” (turn 6).",
            )),
        ),
        StageSummary(
            "5e1a00000000000000000003", "Today's steps",
            established=notes(
                "S3", ("s", (7,), "Print, stamp, type into DATEV, lay into the approval folder, pay on Thursdays."),
                ("s", (8,), "The approval folder goes from location to location with the courier."),
            ),
            doubtful=notes("S3-D", ("s", (8,), "The courier drives on Mondays.")),
        ),
        StageSummary(
            "5e1a00000000000000000004", "Systems",
            established=notes("S4", ("s", (10, 11), "Microsoft 365 for mail, DATEV Unternehmen online, SharePoint.")),
            open=notes("S4-O", ("i", (11,), "Whether the DATEV contract includes the interface.")),
        ),
        StageSummary(
            "5e1a00000000000000000005", "Rules and data",
            established=notes(
                "S5", ("s", (13,), "An invoice number that the supplier has used before is a duplicate."),
                ("s", (14, 24), "Over 2,000 euros Dr. Okafor approves; below, the office manager."),
            ),
            contradictions=notes("S5-C", (
                "s", (14, 24), "The limit was 1,000 euros with the office manager first, and 2,000 euros later.",
            )),
        ),
        StageSummary(
            "5e1a00000000000000000006", "People and errors",
            established=notes("S6", ("s", (16, 17), "If it cannot read an invoice, the office manager is told.")),
        ),
        StageSummary("5e1a00000000000000000007", "Volume and limits", missing="The model could not be reached."),
        StageSummary("5e1a00000000000000000008", "Success"),
    ),
    up_to_turn=25,
)  # fmt: skip
