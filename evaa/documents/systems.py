"""The names of systems in what somebody says: as far as one can tell them without a model."""

import re
from collections.abc import Collection

from evaa.documents.questions import sentences
from evaa.documents.words import GERMAN_MARKS

_KNOWN = """
    airtable asana bamboohr basecamp bexio billomat calendly clickup confluence crm datev docusign dropbox erp excel
    fastbill freshdesk github gitlab gmail hootsuite hubspot immoware24 intercom jira lexoffice lexware linkedin magento
    mailchimp notion n8n odoo onedrive outlook paypal personio pipedrive powerpoint quickbooks salesforce sap sevdesk
    sharepoint shopify shopware slack stripe telegram todoist trello twilio typeform webhook whatsapp woocommerce word
    wordpress workday xero zendesk zoho zoom
"""
"""Names that are recognised however they are written, but for those that are words, too."""

_ALSO_WORDS = frozenset({"word", "notion", "zoom"})

_NAME = re.compile(r"[^\W_]+(?:[-/.][^\W_]+)*")
_NO_NAMES = (
    "i i'm monday tuesday wednesday thursday friday saturday sunday january february march april may june july august"
    " september october november december christmas easter english german french"
    " pdf csv url xml json html xls xlsx doc docx jpg png zip qr cv sms iban bic vat id po sku"
    " mr mrs ms miss dr prof herr herrn frau gdpr kpi sla faq ceo cfo cto hr it pc api"
)
_TITLES = re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herr|Herrn|Frau)\.? $")
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
    return re.IGNORECASE if name.casefold() in _SYSTEMS - _ALSO_WORDS else re.NOFLAG


def _runs(sentence: str, *, capitals_count: bool) -> list[str]:
    """Names that only a space parts are one: Google Sheets."""
    spans: list[tuple[int, int]] = []
    for word in _NAME.finditer(sentence):
        goes_on = bool(spans) and sentence[spans[-1][1] : word.start()] == " "
        is_version = goes_on and word[0].isdecimal() and sentence[slice(*spans[-1])].casefold() in _MAKERS
        is_person = bool(_TITLES.search(sentence[: word.start()]))
        if is_version or (not is_person and _is_name(word[0], capitals_count=capitals_count and word.start() > 0)):
            begin = spans.pop()[0] if goes_on else word.start()
            spans.append((begin, word.end()))
    return [sentence[begin:end] for begin, end in spans]


def _is_name(word: str, *, capitals_count: bool) -> bool:
    plain = word.casefold()
    if plain in _OTHERS or _is_plural(word):
        return False
    if plain in _ALSO_WORDS:
        return word[0].isupper()
    if plain in _SYSTEMS or plain in _MAKERS or (len(word) > 2 and word[1:] != word[1:].lower()):
        return True
    return capitals_count and word[0].isupper() and len(word) > 1


def _is_plural(word: str) -> bool:
    """Several of what an abbreviation stands for: PDFs."""
    return len(word) > 2 and word[-1] == "s" and word[:-1].isupper()
