"""A whole typed interview: an office that types invoices, led by the scripted interviewer's questions.

In it somebody does not know an answer, somebody speaks on before the reply, and a reply is cut short.
"""

from collections.abc import Sequence

from evaa.interview.stages import default_stages
from evaa.interview.views import GOODBYE
from protocols.records import Interview, Outcome, Stage, TurnRecord

DONT_KNOW = "I don't know yet."

_ANSWERS: tuple[tuple[str, ...], ...] = (
    (
        "We are a plumbing wholesaler, and we would like supplier invoices to be entered into DATEV without typing."
        " Today two colleagues in accounting type every invoice by hand.",
        "It eats up about three hours a day, and the typing errors cost us early-payment discounts, roughly €500 a"
        " month.",
        "The accounting team, mostly Anna and Tom, and our tax adviser.",
        "Nobody types any more. Anna only looks at the invoices that are odd, and every invoice is booked within one"
        " working day.",
    ),
    (
        "An email with a PDF arrives in our invoice mailbox.",
        "In Outlook, in the shared mailbox invoices@hartmann-bad.example.",
        "Within ten minutes.",
        "Yes, reminders and newsletters come to the same mailbox. Those must not be booked.",
    ),
    (
        "First Anna opens the mailbox and downloads the PDF. Then she checks whether the supplier exists in DATEV. She"
        " types the invoice number, the date and the amount into DATEV. If the amount is above 5,000 euros, she sends"
        " the invoice to Mr. Keller, who approves it by email. At the end she saves the PDF in SharePoint.",
        "Anna and Tom do the typing, and Mr. Keller approves the large ones.",
        DONT_KNOW,
    ),
    (
        "Outlook, DATEV and SharePoint. The list of suppliers is in an Excel file on SharePoint.",
        "In DATEV, and the PDF in SharePoint.",
        "Our IT partner Brandt Systems.",
        "DATEV is installed on the computers in the office, the others run in the browser.",
    ),
    (
        "The supplier, the invoice number, the invoice date, the net amount, the VAT (value added tax) and the IBAN.",
        "If the supplier is not in the list, the invoice waits for Anna. If the amount is above 5,000 euros, Mr. Keller"
        " has to approve. Credit notes are booked with a minus.",
        "Muster GmbH, invoice 2024-0815, 12 March, 1,190 euros including 19% VAT.",
        "No.",
    ),
    (
        "Sometimes the PDF is only a photo and nobody can read it, and sometimes the same invoice comes twice.",
        "Anna, by a message in Teams.",
        "Yes, Mr. Keller approves everything above 5,000 euros.",
        "Paying the same invoice twice.",
    ),
    (
        "About forty a day, so two hundred a week.",
        "At the end of the quarter it is twice as much.",
        "Four to five minutes.",
        "Bookings have to be finished by 6 pm.",
    ),
    (
        "Nobody has typed an invoice for a month, and we have not lost a single discount.",
        "By the first of October.",
        "The budget is 8,000 euros, and invoices have to be kept for ten years.",
        "Mr. Keller, our managing director.",
    ),
)


def invoices() -> Interview:
    """The interview, complete: 33 turns."""
    turns: list[TurnRecord] = []
    stages = default_stages()
    for index, stage in enumerate(stages):
        closing = stages[index + 1].opening if index + 1 < len(stages) else GOODBYE
        replies = [*stage.follow_ups[: len(_ANSWERS[index]) - 1], closing]
        for number, words in enumerate(_ANSWERS[index]):
            is_last = number == len(_ANSWERS[index]) - 1
            reply = replies[number] if is_last and index + 1 == len(stages) else f"Got it. {replies[number]}"
            turns += _turns(len(turns) + 1, stage, words, reply, closes=is_last)
    return Interview(stages, stage_index=len(stages), turns=tuple(turns))


def _turns(first: int, stage: Stage, words: str, reply: str, *, closes: bool) -> Sequence[TurnRecord]:
    if words.startswith("About forty"):  # said in two goes, the second before anything of a reply was there
        early, late = "About forty a day,", "so two hundred a week."
        return (
            _turn(first, stage, early, "", "superseded"),
            _turn(first + 1, stage, late, reply, closes=closes),
        )
    if words.startswith("In Outlook"):  # the reply is cut short: the next words go on with the same answer
        early, late = "In Outlook, in the shared mailbox", "invoices@hartmann-bad.example."
        return (
            _turn(first, stage, early, "Good to kn", "interrupted"),
            _turn(first + 1, stage, late, reply, closes=closes),
        )
    return (_turn(first, stage, words, reply, closes=closes),)


def _turn(
    number: int, stage: Stage, text: str, reply: str, outcome: Outcome = "answered", *, closes: bool = False
) -> TurnRecord:
    return TurnRecord(
        turn=number,
        stage_id=stage.stage_id,
        source="text",
        text=text,
        said_at_ms=1_700_000_000_000 + number * 60_000,
        reply=reply,
        outcome=outcome,
        closed_stage=closes,
    )
