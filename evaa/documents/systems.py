"""The names of systems in what somebody says: as far as one can tell them without a model."""

import re
from collections.abc import Collection

from evaa.documents.questions import sentences
from evaa.documents.words import GERMAN_MARKS

_KNOWN = """
    airtable asana calendly confluence crm datev dropbox erp excel fastbill github gmail hubspot jira lexoffice lexware
    linkedin mailchimp notion n8n onedrive outlook pipedrive powerpoint quickbooks salesforce sap sevdesk sharepoint
    shopify slack stripe telegram trello twilio typeform webhook whatsapp woocommerce word wordpress xero zendesk zoho
    zoom
"""
"""Names that are recognised however they are written."""

_NAME = re.compile(r"[^\W_]+(?:[-/.][^\W_]+)*")
_NO_NAMES = (
    "i i'm monday tuesday wednesday thursday friday saturday sunday january february march april may june july august"
    " september october november december english german pdf csv vat iban gdpr ceo cfo"
)
_SYSTEMS = frozenset(_KNOWN.split())
_OTHERS = frozenset(_NO_NAMES.split())
_MAKERS = frozenset({"google", "microsoft", "ms", "apple", "adobe", "zoho", "amazon", "office"})


def names_in(text: str) -> list[str]:
    """The names in a text in their order, as they are written, each once."""
    found: dict[str, str] = {}
    for sentence in sentences(text):
        capitals_count = not GERMAN_MARKS & set(sentence.casefold().split())
        for name in _runs(sentence, capitals_count=capitals_count):
            found.setdefault(name.casefold(), name)
    return list(found.values())


def mentioned(text: str, names: Collection[str]) -> list[str]:
    """Those of the names that a text mentions, in whole words."""
    return [name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, _case(name))]


def _case(name: str) -> re.RegexFlag:
    """A name that everybody knows may be written in any way; another could be a common word."""
    return re.IGNORECASE if name.casefold() in _SYSTEMS else re.NOFLAG


def _runs(sentence: str, *, capitals_count: bool) -> list[str]:
    """Names that only a space parts are one: Google Sheets."""
    spans: list[tuple[int, int]] = []
    for word in _NAME.finditer(sentence):
        if _is_name(word[0], capitals_count=capitals_count and word.start() > 0):
            goes_on = bool(spans) and sentence[spans[-1][1] : word.start()] == " "
            begin = spans.pop()[0] if goes_on else word.start()
            spans.append((begin, word.end()))
    return [sentence[begin:end] for begin, end in spans]


def _is_name(word: str, *, capitals_count: bool) -> bool:
    plain = word.casefold()
    if plain in _OTHERS:
        return False
    if plain in _SYSTEMS or plain in _MAKERS or (len(word) > 2 and word[1:] != word[1:].lower()):
        return True
    return capitals_count and word[0].isupper() and len(word) > 1
