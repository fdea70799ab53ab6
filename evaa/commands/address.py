"""Where EVAA is, for the commands that talk to it as a client does."""

import urllib.parse
from typing import NamedTuple, TypeAlias

import trio

from evaa.commands.talk_frames import plain

Stream: TypeAlias = trio.SocketStream | trio.SSLStream[trio.SocketStream]

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses to listen on that cannot be dialled on every system, and what reaches them from the same machine."""


class Address(NamedTuple):
    """Where EVAA is: what to dial, and what to put into the request."""

    tls: bool
    host: str
    port: int
    authority: str
    target: str

    @property
    def shown(self) -> str:
        """The address for a message to the user, without the query: it may hold a token."""
        return f"{self.authority}{self.target.partition('?')[0]}"


def parse_url(url: str) -> Address:
    """Return the address that a URL such as `ws://127.0.0.1:8765/ws` stands for. Raises `ValueError`."""
    parts = urllib.parse.urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"{plain(url)} is not the URL of a WebSocket, such as ws://127.0.0.1:8765/ws")
    target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return Address(parts.scheme == "wss", parts.hostname, port, parts.netloc.rpartition("@")[2], target)


def url_on_this_machine(host: str, port: int) -> str:
    """Return the URL of the server that listens on `host` and `port` of this machine."""
    host = _EVERYWHERE.get(host, host)
    return f"ws://{f'[{host}]' if ':' in host else host}:{port}/ws"


async def dial(address: Address) -> Stream:
    """Open a stream to the address. Raises `OSError`; a TLS handshake happens, and may fail, with the first bytes."""
    if address.tls:
        return await trio.open_ssl_over_tcp_stream(address.host, address.port, https_compatible=True)
    return await trio.open_tcp_stream(address.host, address.port)
