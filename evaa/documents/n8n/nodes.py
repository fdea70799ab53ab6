"""The n8n nodes that EVAA knows: a short list, written by hand.

It holds what two programs must agree on to work together, and no more: names, versions, ports, the names of
credentials, and which parameters may not be empty. n8n has some five hundred other nodes; of those, EVAA knows that it
does not know them.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

BASE = "n8n-nodes-base."
MAIN = "main"
KINDS_OF_CONNECTION = frozenset({
    MAIN, "ai_agent", "ai_chain", "ai_document", "ai_embedding", "ai_languageModel", "ai_memory", "ai_outputParser",
    "ai_reranker", "ai_retriever", "ai_textSplitter", "ai_tool", "ai_vectorStore",
})  # fmt: skip


class Required(msgspec.Struct, frozen=True):
    """A parameter that must not be empty, from version `since` to `until`.

    `when`: only if these parameters have one of these values; the first is the one that n8n takes if none is given.
    """

    parameter: str
    when: Mapping[str, tuple[str, ...]] = {}
    since: float = 0
    until: float = 1e9


class Credentials(msgspec.Struct, frozen=True):
    """Which credential a node needs: its name, by the value of the parameter `by`; `usual` if that is not given.

    A value that is not among the names needs none. A name that begins with `$` is the value of that parameter.
    """

    names: dict[str, str]
    usual: str
    by: str = "authentication"


class NodeType(msgspec.Struct, frozen=True):
    """One type of node. `version` is the one that EVAA writes, `versions` are those that exist.

    `inputs` and `outputs` are the numbers of ports of the kind `main`; an output is named where the name matters. None:
    it depends on the node (`ports`). `may_drop_all`: items may end here, by its very purpose.
    """

    name: str
    label: str
    version: float
    versions: tuple[float, ...]
    is_trigger: bool = False
    inputs: int = 1
    outputs: int | None = 1
    output_names: tuple[str, ...] = ()
    credentials: Credentials | None = None
    required: tuple[Required, ...] = ()
    may_drop_all: bool = False


def _node(name: str, label: str, version: float, versions: tuple[float, ...], **more: Any) -> NodeType:
    return NodeType(BASE + name, label, version, versions, **more)


def _trigger(name: str, label: str, version: float, versions: tuple[float, ...], **more: Any) -> NodeType:
    return _node(name, label, version, versions, is_trigger=True, inputs=0, **more)


def _one(name: str) -> Credentials:
    return Credentials({"": name}, "")


_INCOMING = {"basicAuth": "httpBasicAuth", "headerAuth": "httpHeaderAuth", "jwtAuth": "jwtAuth"}
_GOOGLE = "googleApi"
_MICROSOFT = {"microsoftOAuth2Api": "microsoftOAuth2Api"} | {
    "microsoftEntraServicePrincipalApi": "microsoftEntraServicePrincipalApi"
}
_HTTP = {"predefinedCredentialType": "$nodeCredentialType", "genericCredentialType": "$genericAuthType"}
_HTTP |= {name: name for name in ("httpBasicAuth", "httpDigestAuth", "httpHeaderAuth", "httpQueryAuth")}
_SENDS_MAIL = {"resource": ("message",), "operation": ("send",)}
_POSTS = {"resource": ("message",), "operation": ("post",)}
_POSTS_TEXT = {**_POSTS, "messageType": ("text",)}
_IN_A_SHEET = ("read", "append", "appendOrUpdate", "clear", "delete", "remove", "update")


def _google(name: str) -> Credentials:
    return Credentials({"oAuth2": name, "serviceAccount": _GOOGLE}, "oAuth2")


def _microsoft(name: str) -> Credentials:
    return Credentials({name: name} | _MICROSOFT, name)


MANUAL = _trigger("manualTrigger", "Manual Trigger", 1, (1,))
SCHEDULE = _trigger("scheduleTrigger", "Schedule Trigger", 1.2, (1, 1.1, 1.2, 1.3, 1.4))
WEBHOOK = _trigger("webhook", "Webhook", 2, (1, 1.1, 2, 2.1), outputs=None, credentials=Credentials(_INCOMING, "none"))
FORM = _trigger(
    "formTrigger", "n8n Form Trigger", 2.2, (1, 2, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6),
    credentials=Credentials({"basicAuth": "httpBasicAuth"}, "none"),
    required=(Required("formTitle"), Required("path", until=2.1)),
)  # fmt: skip
MAILBOX = _trigger("emailReadImap", "Email Trigger (IMAP)", 2, (1, 2, 2.1, 2.2), credentials=_one("imap"))
GMAIL_ARRIVES = _trigger(
    "gmailTrigger", "Gmail Trigger", 1.2, (1, 1.1, 1.2, 1.3, 1.4), credentials=_google("gmailOAuth2")
)
OUTLOOK_ARRIVES = _trigger(
    "microsoftOutlookTrigger", "Microsoft Outlook Trigger", 1, (1,), credentials=_microsoft("microsoftOutlookOAuth2Api")
)
ERROR = _trigger("errorTrigger", "Error Trigger", 1, (1,))
SET = _node("set", "Edit Fields (Set)", 3.4, (1, 2, 3, 3.1, 3.2, 3.3, 3.4, 3.5))
IF = _node("if", "If", 2.2, (1, 2, 2.1, 2.2, 2.3), outputs=2, output_names=("true", "false"))
NO_OP = _node("noOp", "No Operation", 1, (1,))
STICKY_NOTE = _node("stickyNote", "Sticky Note", 1, (1,), inputs=0, outputs=0)
SPLIT_IN_BATCHES = _node("splitInBatches", "Loop Over Items", 3, (1, 2, 3), outputs=None, output_names=("done", "loop"))
SWITCH = _node("switch", "Switch", 3.2, (1, 2, 3, 3.1, 3.2, 3.3, 3.4), outputs=None)
MERGE = _node("merge", "Merge", 3, (1, 2, 2.1, 3, 3.1, 3.2), inputs=2)
SLACK = _node(
    "slack", "Slack", 2.2, (1, 2, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7),
    credentials=Credentials({"accessToken": "slackApi", "oAuth2": "slackOAuth2Api"}, "accessToken"),
    required=(Required("select", _POSTS, since=2), Required("text", _POSTS_TEXT, since=2)),
)  # fmt: skip
GMAIL = _node(
    "gmail", "Gmail", 2.1, (1, 2, 2.1, 2.2), credentials=_google("gmailOAuth2"),
    required=tuple(Required(name, _SENDS_MAIL, since=2) for name in ("sendTo", "subject", "message")),
)  # fmt: skip
GOOGLE_SHEETS = _node(
    "googleSheets", "Google Sheets", 4.5, (1, 2, 3, 4, 4.1, 4.2, 4.3, 4.4, 4.5, 4.6, 4.7),
    credentials=_google("googleSheetsOAuth2Api"),
    required=(
        Required("documentId", {"resource": ("sheet",)}, since=3),
        Required("sheetName", {"resource": ("sheet",), "operation": _IN_A_SHEET}, since=3),
    ),
)  # fmt: skip
EMAIL_SEND = _node(
    "emailSend", "Send Email", 2.1, (1, 2, 2.1), credentials=_one("smtp"),
    required=tuple(Required(name, {"operation": ("send", "sendAndWait")}) for name in ("fromEmail", "toEmail")),
)  # fmt: skip
OUTLOOK = _node("microsoftOutlook", "Microsoft Outlook", 2, (1, 2), credentials=_microsoft("microsoftOutlookOAuth2Api"))
TELEGRAM = _node("telegram", "Telegram", 1.2, (1, 1.1, 1.2), credentials=_one("telegramApi"))
HTTP_REQUEST = _node(
    "httpRequest", "HTTP Request", 4.2, (1, 2, 3, 4, 4.1, 4.2, 4.3, 4.4, 4.5),
    credentials=Credentials(_HTTP, "none"), required=(Required("url"),),
)  # fmt: skip
GOOGLE_DRIVE = _node("googleDrive", "Google Drive", 3, (1, 2, 3), credentials=_google("googleDriveOAuth2Api"))
TEAMS = _node("microsoftTeams", "Microsoft Teams", 2, (1, 1.1, 2), credentials=_microsoft("microsoftTeamsOAuth2Api"))
EXCEL = _node(
    "microsoftExcel", "Microsoft Excel", 2.1, (1, 2, 2.1, 2.2), credentials=_microsoft("microsoftExcelOAuth2Api")
)
NOTION = _node(
    "notion", "Notion", 2.2, (1, 2, 2.1, 2.2, 3),
    credentials=Credentials({"apiKey": "notionApi", "oAuth2": "notionOAuth2Api"}, "apiKey"),
)  # fmt: skip
HUBSPOT = _node(
    "hubspot", "HubSpot", 2.1, (1, 2, 2.1, 2.2),
    credentials=Credentials(
        {"apiKey": "hubspotApi", "appToken": "hubspotAppToken", "oAuth2": "hubspotOAuth2Api"}, "apiKey"
    ),
)  # fmt: skip
POSTGRES = _node("postgres", "Postgres", 2.5, (1, 2, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7), credentials=_one("postgres"))
MYSQL = _node("mySql", "MySQL", 2.4, (1, 2, 2.1, 2.2, 2.3, 2.4, 2.5), credentials=_one("mySql"))

NODE_TYPES: tuple[NodeType, ...] = (
    MANUAL, SCHEDULE, WEBHOOK, FORM, MAILBOX, GMAIL_ARRIVES, OUTLOOK_ARRIVES, ERROR,
    _trigger("executeWorkflowTrigger", "Execute Workflow Trigger", 1.1, (1, 1.1, 1.2)),
    SET, IF, SWITCH, MERGE, NO_OP, STICKY_NOTE, SPLIT_IN_BATCHES, HTTP_REQUEST,
    _node("code", "Code", 2, (1, 2), may_drop_all=True),
    _node("filter", "Filter", 2.2, (1, 2, 2.1, 2.2, 2.3), may_drop_all=True, outputs=None),
    _node("wait", "Wait", 1.1, (1, 1.1), credentials=Credentials(_INCOMING, "none", by="incomingAuthentication")),
    _node("stopAndError", "Stop and Error", 1, (1,), outputs=0,
          required=(Required("errorMessage", {"errorType": ("errorMessage",)}),)),
    _node("respondToWebhook", "Respond to Webhook", 1.1, (1, 1.1, 1.2, 1.3, 1.4, 1.5), outputs=None,
          credentials=Credentials({"jwt": "jwtAuth"}, "none", by="respondWith")),
    _node("executeWorkflow", "Execute Sub-workflow", 1.2, (1, 1.1, 1.2, 1.3, 1.4), may_drop_all=True),
    _node("aggregate", "Aggregate", 1, (1,)),
    _node("splitOut", "Split Out", 1, (1,), may_drop_all=True),
    _node("limit", "Limit", 1, (1,)),
    _node("sort", "Sort", 1, (1,)),
    _node("removeDuplicates", "Remove Duplicates", 2, (1, 1.1, 2), may_drop_all=True, outputs=None),
    _node("summarize", "Summarize", 1.1, (1, 1.1)),
    _node("dateTime", "Date & Time", 2, (1, 2)),
    _node("extractFromFile", "Extract from File", 1, (1, 1.1)),
    _node("convertToFile", "Convert to File", 1.1, (1, 1.1)),
    SLACK, GMAIL, GOOGLE_SHEETS, EMAIL_SEND, OUTLOOK, TELEGRAM, GOOGLE_DRIVE, TEAMS, EXCEL, NOTION, HUBSPOT, POSTGRES,
    MYSQL,
)  # fmt: skip

BY_NAME = {kind.name: kind for kind in NODE_TYPES}


def ports(
    kind: NodeType, version: float, parameters: dict[str, Any], *, has_error_output: bool = False
) -> tuple[int | None, int | None]:
    """How many inputs and outputs of the kind `main` a node has by its parameters and version; None: not known."""
    inputs: int | None = kind.inputs
    outputs = kind.outputs
    if kind is MERGE and version >= 3:
        inputs = _count(parameters.get("numberInputs", 2))
    elif kind is SWITCH:
        outputs = _switch_outputs(parameters, version)
    elif kind is SPLIT_IN_BATCHES:
        outputs = 1 if version < 2 else 2
    return inputs, None if outputs is None else outputs + has_error_output


def _switch_outputs(parameters: dict[str, Any], version: float) -> int | None:
    if version < 3:
        return 4 if version < 2 else None
    if parameters.get("mode", "rules") == "expression":
        return _count(parameters.get("numberOutputs", 4))
    rules, options = parameters.get("rules"), parameters.get("options")
    values = rules.get("values") if isinstance(rules, dict) else None
    if not isinstance(values, list):
        return None
    has_extra = isinstance(options, dict) and options.get("fallbackOutput") == "extra"
    return len(values) + has_extra


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
