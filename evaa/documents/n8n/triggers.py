"""Which trigger a workflow begins with, from what was said of it: as far as plain English words tell.

Only what was said becomes a parameter. A schedule that is not told exactly stays off until somebody sets it, since n8n
would otherwise take one of its own.
"""

import re
from typing import Any

import msgspec

from evaa.documents.n8n.nodes import (
    FORM,
    GMAIL_ARRIVES,
    MAILBOX,
    MANUAL,
    OUTLOOK_ARRIVES,
    SCHEDULE,
    WEBHOOK,
    NodeType,
)

_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_DAY = "|".join(_DAYS)
_UNITS = f"minute|hour|day|morning|evening|night|week|month|quarter|year|working day|weekday|{_DAY}"

_WORDS: tuple[tuple[NodeType, re.Pattern[str]], ...] = (
    (WEBHOOK, re.compile(r"\bweb-?hooks?\b")),
    (SCHEDULE, re.compile(
        rf"\b(every|each|once an?|twice an?|per) (\d+ )?({_UNITS})s?\b|\b(hour|dai|night|week|month|quarter|year)ly\b"
        r"|\bcron\b|\bschedule[ds]?\b|\bat \d{1,2}([:.]\d\d)? ?(a\.?m|p\.?m|o'clock)\b"
    )),
    (FORM, re.compile(
        r"\b(web|online|n8n) ?-?forms?\b|\bform submissions?\b|\bforms? (is|are|gets?) (sent|submitted|filled)\b"
        r"|\b(fills?|filled|submits?|submitted)( \w+){0,4} forms?\b"
    )),
    (GMAIL_ARRIVES, re.compile(r"\b(gmail|google mail)\b")),
    (OUTLOOK_ARRIVES, re.compile(
        r"^(?!.*\bcalendar).*(\b(outlook|exchange online)\b|\bmail.*\b(office|microsoft|ms) 365\b"
        r"|\b(office|microsoft|ms) 365\b.*mail)"
    )),
    (MAILBOX, re.compile(r"\be-?mails?\b|\bmail ?box(es)?\b|\binbox(es)?\b|\bimap\b")),
    (MANUAL, re.compile(r"\b(manual(ly)?|by hand|on demand|start button)\b")),
)  # fmt: skip
"""The first that fits is taken: what looks into a mailbox every hour is a schedule."""

_OTHER_FORMS = re.compile(r"\b(google|microsoft|ms|jot) ?forms?\b|\b(typeform|jotform|tally)\b")
_INTERVAL = re.compile(r"\bevery (?:(\d{1,2}) (minute|hour)s|(minute|hour))\b")
_DAILY = re.compile(r"\b(?:every day|daily)\b")
_WEEKLY = re.compile(rf"\bevery ({_DAY})\b")
_TIME = re.compile(r"\bat (\d{1,2})(?:[:.](\d\d))? ?(a\.?m\b|p\.?m\b)?")
_UNLESS = re.compile(r"\b(except|but|not|only|unless|during|between|from|until|working|business|week-?days?|and)\b")
_LOOKED_AT_CHARS = 2_000
_LAST = {"minute": 59, "hour": 23}


class Trigger(msgspec.Struct, frozen=True):
    """How a workflow begins. `is_set`: nothing that only the user knows is left to fill in, credentials apart."""

    kind: NodeType
    parameters: dict[str, Any] = {}
    is_set: bool = True


def trigger_for(said: str, *, path: str, title: str) -> Trigger | None:
    """The trigger that these words ask for; None if they name none that n8n has for everybody.

    `path` is the address of a webhook or a form, `title` a form's title: both must be there, and are not secret.
    """
    words = " ".join(said.casefold()[:_LOOKED_AT_CHARS].split())
    kind = next((kind for kind, pattern in _WORDS if pattern.search(words)), None)
    if kind is FORM and _OTHER_FORMS.search(words):
        return None
    if kind is SCHEDULE:
        interval = _interval(words)
        return Trigger(kind, {"rule": {"interval": [interval]}}, is_set=bool(interval))
    if kind is WEBHOOK:
        return Trigger(kind, {"path": path, "options": {}})
    if kind is FORM:
        return Trigger(kind, {"formTitle": title, "formFields": {"values": []}, "options": {}}, is_set=False)
    return Trigger(kind) if kind else None


def _interval(words: str) -> dict[str, Any]:
    """The schedule, if it is told completely; else empty."""
    times = [clock for clock in map(_clock, _TIME.finditer(words)) if clock is not None]
    if _UNLESS.search(words) or len(_TIME.findall(words)) > 1:
        return {}
    if found := _INTERVAL.search(words):
        count, unit = int(found[1] or 1), found[2] or found[3]
        return {"field": f"{unit}s", f"{unit}sInterval": count} if 1 <= count <= _LAST[unit] and not times else {}
    if not times:
        return {}
    at = {"triggerAtHour": times[0][0], "triggerAtMinute": times[0][1]}
    if found := _WEEKLY.search(words):
        return {"field": "weeks", "weeksInterval": 1, "triggerAtDay": [_DAYS.index(found[1])], **at}
    return {"field": "days", "daysInterval": 1, **at} if _DAILY.search(words) else {}


def _clock(found: re.Match[str]) -> tuple[int, int] | None:
    """Hour and minute; None if it is no time, or if it could be in the morning or in the evening."""
    hour, minute, half = int(found[1]), int(found[2] or 0), (found[3] or "").replace(".", "")
    if half:
        return (hour % 12 + 12 * (half == "pm"), minute) if 1 <= hour <= 12 and minute < 60 else None
    return (hour, minute) if found[2] and hour < 24 and minute < 60 else None
