"""The groq SDK's client, with a lean way to a chat completion.

The SDK re-walks every message against its type, copies its options several times, and builds the answer field by field;
httpx's client adds redirects, cookies and authentication flows. None of it is needed for the one request that a turn
makes, and together they cost as much as the agent. Here the request goes straight to the transport, and pydantic reads
the answer. Everything else (other endpoints, types, errors) is the SDK's.
"""

from typing import Annotated, Any

import aiohttp
import httpx
import msgspec
import pydantic
from groq import APIConnectionError, APIStatusError, APITimeoutError, AsyncGroq, NotGiven, Omit
from groq.resources.chat import AsyncChat, AsyncCompletions
from groq.types.chat import ChatCompletion
from httpx_aiohttp import AiohttpTransport

KEEP_ALIVE_S = 300
"""How long an idle connection is kept: an interview's turns are further apart than the SDK's 5 s."""

TIMEOUT = httpx.Timeout(20, connect=3)
"""Between two reads, and to connect. What a turn may wait is for `FallbackInterviewer` to say."""

_ENCODER = msgspec.json.Encoder()


class LeanGroq(AsyncGroq):
    """A client over `transport`, without retries of its own. Close it on the side of asyncio on which it was used."""

    def __init__(self, *, api_key: str, base_url: str, transport: httpx.AsyncBaseTransport) -> None:
        http_client = httpx.AsyncClient(transport=transport, timeout=TIMEOUT)
        super().__init__(api_key=api_key, base_url=base_url, http_client=http_client, max_retries=0)
        self._lean_chat = _Chat(self, transport)

    @property
    def chat(self) -> AsyncChat:
        """Chat completions."""
        return self._lean_chat


def network() -> httpx.AsyncBaseTransport:
    """The network, by aiohttp: its connection pool is linear in what is open where httpcore's is quadratic."""

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=KEEP_ALIVE_S)
        )

    transport: httpx.AsyncBaseTransport = AiohttpTransport(client=session)
    return transport


class _Chat(AsyncChat):
    def __init__(self, client: LeanGroq, transport: httpx.AsyncBaseTransport) -> None:
        super().__init__(client)
        self._lean_completions = _Completions(client, transport)

    @property
    def completions(self) -> AsyncCompletions:
        return self._lean_completions


class _Completions(AsyncCompletions):
    def __init__(self, client: LeanGroq, transport: httpx.AsyncBaseTransport) -> None:
        super().__init__(client)
        self._transport = transport
        self._url = httpx.URL(client.base_url).join("/openai/v1/chat/completions")
        self._headers = {
            "Authorization": f"Bearer {client.api_key}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # compression would hold tokens back
        }

    async def create(self, **parameters: Any) -> ChatCompletion:  # type: ignore[override]
        """Make a completion. Raises the SDK's errors: `APIStatusError`, `APITimeoutError`, `APIConnectionError`."""
        request = self._request(parameters)
        try:
            response = await self._transport.handle_async_request(request)
            try:
                content = await response.aread()
            finally:
                await response.aclose()
        except httpx.TimeoutException as error:
            raise APITimeoutError(request=request) from error
        except httpx.HTTPError as error:
            raise APIConnectionError(request=request) from error
        if response.status_code != 200:
            response.request = request
            raise APIStatusError(f"HTTP {response.status_code}", response=response, body=_decoded(content))
        completion = _completion(content)
        if completion is None:
            raise APIConnectionError(message="the answer is no completion", request=request)
        return completion

    def _request(self, parameters: dict[str, Any]) -> httpx.Request:
        extra = {name: parameters.pop(name, None) or {} for name in ("extra_headers", "extra_query", "extra_body")}
        timeout = parameters.pop("timeout", None)
        body = {name: value for name, value in parameters.items() if not isinstance(value, NotGiven | Omit)}
        return httpx.Request(
            "POST",
            self._url.copy_merge_params(extra["extra_query"]) if extra["extra_query"] else self._url,
            headers=self._headers | extra["extra_headers"],
            content=_ENCODER.encode(body | extra["extra_body"]),
            extensions={"timeout": _patience(timeout).as_dict()},
        )


def _patience(timeout: object) -> httpx.Timeout:
    """What a call may wait: as long as it says for the answer, but no longer than ever to connect."""
    return httpx.Timeout(timeout, connect=TIMEOUT.connect) if isinstance(timeout, float | int) else TIMEOUT


def _decoded(content: bytes) -> object:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return content.decode("utf-8", "replace")


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Outline(msgspec.Struct):
    """What a completion must have at least, to be of use."""

    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]
    usage: dict[str, Any] | None = None


def _completion(content: bytes) -> ChatCompletion | None:
    """Return the completion; None for what is none, say a proxy's page."""
    try:
        completion = ChatCompletion.model_validate_json(content)
    except pydantic.ValidationError:
        try:
            msgspec.json.decode(content, type=_Outline)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        # Field by field, as the SDK does it: a field that the provider changed is no reason to lose an answer.
        completion = ChatCompletion.construct(**msgspec.json.decode(content))
    return completion if completion.choices else None
