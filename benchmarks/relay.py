"""A bare relay to compare with: trio-websocket on both sides. Audio goes on as it came; what is heard is dropped.

No container is parsed and nothing kept, so a lost connection loses words.
"""

import json
import sys

import trio
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    WebSocketRequest,
    open_websocket_url,
    serve_websocket,
)

from benchmarks.recording import unpacking


async def discard(websocket: WebSocketConnection) -> None:
    while True:
        await websocket.get_message()


async def main(recogniser: str) -> None:
    async def handle(request: WebSocketRequest) -> None:
        (dialect,) = request.proposed_subprotocols
        unpack = unpacking(dialect)
        client = await request.accept(subprotocol=dialect)
        try:
            async with open_websocket_url(f"{recogniser}/v2/listen") as upstream, trio.open_nursery() as nursery:
                nursery.start_soon(discard, upstream)
                while True:
                    if audio := unpack(await client.get_message()):
                        await upstream.send_message(audio)
        except* ConnectionClosed:
            pass

    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_websocket, handle, "127.0.0.1", 0, None)
        print(json.dumps({"url": f"ws://127.0.0.1:{server.port}/"}), flush=True)


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
