from typing import Any

import pytest

from evaa.documents.n8n.nodes import FORM, GMAIL_ARRIVES, MAILBOX, MANUAL, OUTLOOK_ARRIVES, SCHEDULE, WEBHOOK, NodeType
from evaa.documents.n8n.triggers import Trigger, trigger_for


def trigger(said: str) -> Trigger | None:
    return trigger_for(said, path="a-path", title="A title")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("The shop calls a webhook", WEBHOOK),
        ("Every weekday morning", SCHEDULE),
        ("Once a week, the inbox is read", SCHEDULE),
        ("It looks into the mailbox hourly", SCHEDULE),
        ("Somebody submits the holiday form", FORM),
        ("A web form is sent", FORM),
        ("A message arrives in Gmail", GMAIL_ARRIVES),
        ("New e-mail in Outlook", OUTLOOK_ARRIVES),
        ("New invoice e-mail Microsoft 365", OUTLOOK_ARRIVES),
        ("An email arrives", MAILBOX),
        ("She starts it by hand", MANUAL),
        ("Every time an e-mail arrives", MAILBOX),
        ("A deal is closed in HubSpot", None),
        ("An entry in Outlook's calendar", None),
        ("Somebody fills in a Google Form", None),
        ("On our platform something has been performed", None),
        ("", None),
    ],
)
def test_which_trigger_is_meant(said: str, kind: NodeType | None) -> None:
    found = trigger(said)
    assert (found and found.kind) is kind


@pytest.mark.parametrize(
    ("said", "interval"),
    [
        ("Every 15 minutes", {"field": "minutes", "minutesInterval": 15}),
        ("every hour", {"field": "hours", "hoursInterval": 1}),
        ("Every day at 8:30", {"field": "days", "daysInterval": 1, "triggerAtHour": 8, "triggerAtMinute": 30}),
        ("Daily at 12 am", {"field": "days", "daysInterval": 1, "triggerAtHour": 0, "triggerAtMinute": 0}),
        ("Every day at 5.15 p.m.", {"field": "days", "daysInterval": 1, "triggerAtHour": 17, "triggerAtMinute": 15}),
        ("Every Monday at 14:00",
         {"field": "weeks", "weeksInterval": 1, "triggerAtDay": [1], "triggerAtHour": 14, "triggerAtMinute": 0}),
    ],
)  # fmt: skip
def test_a_schedule_that_is_told_completely(said: str, interval: dict[str, Any]) -> None:
    assert trigger(said) == Trigger(SCHEDULE, {"rule": {"interval": [interval]}})


@pytest.mark.parametrize(
    "said",
    [
        "Every day", "Every day at 8", "Every morning", "Every day at 25:00", "Every 90 minutes", "Every 0 minutes",
        "Every day at 8:30 except Sunday", "Every day at 8:30 and at 17:00", "Every day at 8:30, at 12:00",
        "Every weekday at 9:00", "Every hour during office hours", "Every month at 9:00", "Weekly at 9:00",
        "Every 30 minutes at 8:00", "Every day at 13 pm",
    ],
)  # fmt: skip
def test_a_schedule_that_is_not_stays_off(said: str) -> None:
    assert trigger(said) == Trigger(SCHEDULE, {"rule": {"interval": [{}]}}, is_set=False)


def test_a_webhook_has_its_address_and_a_form_its_title() -> None:
    assert trigger("webhook") == Trigger(WEBHOOK, {"path": "a-path", "options": {}})
    form = trigger("a web form")
    assert form is not None
    assert (form.parameters["formTitle"], form.is_set) == ("A title", False)
