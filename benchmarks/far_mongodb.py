"""The way to a MongoDB server that is far away: whatever is sent there arrives half a second later.

A process of its own; it prints the address to use instead. Encrypted connections do not survive the detour.
"""

import sys
from urllib.parse import urlsplit

import trio
from pymongo.uri_parser import parse_uri

from benchmarks.slow_store import DELAY_S

CHUNK_BYTES = 1 << 20


async def main(uri: str) -> None:
    host, port = parse_uri(uri)["nodelist"][0]

    async def serve(client: trio.SocketStream) -> None:
        async with client, await trio.open_tcp_stream(host, port) as server, trio.open_nursery() as nursery:
            nursery.start_soon(relay, client, server, DELAY_S)
            await relay(server, client, 0)
            nursery.cancel_scope.cancel()

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    print(through(listener.socket.getsockname()[1], uri), flush=True)
    await trio.serve_listeners(serve, [listener])


async def relay(source: trio.SocketStream, sink: trio.SocketStream, delay_s: float) -> None:
    """Pass on what comes until either side is gone. A driver waits for its answers, so each request is delayed once."""
    try:
        while data := await source.receive_some(CHUNK_BYTES):
            await trio.sleep(delay_s)
            await sink.send_all(data)
        await sink.send_eof()
    except trio.BrokenResourceError:
        return


def through(port: int, uri: str) -> str:
    """The same address but for where it leads; the driver must not look for the server's own address behind it."""
    parts = urlsplit(uri)
    user, at, _ = parts.netloc.rpartition("@")
    options = [it for it in parts.query.split("&") if it and not it.lower().startswith("directconnection=")]
    query = "&".join([*options, "directConnection=true"])
    return parts._replace(netloc=f"{user}{at}127.0.0.1:{port}", path=parts.path or "/", query=query).geturl()


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
