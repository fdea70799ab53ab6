"""A bare loop to compare with: trio-websocket, and the groq SDK's own streaming. No memory, no turns."""

import json
import sys

import groq
import httpx
import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

from evaa.llm.prompt import instructions


async def main(provider: str) -> None:
    http = httpx.AsyncClient(
        limits=httpx.Limits(max_connections=500, max_keepalive_connections=25, keepalive_expiry=300)
    )
    client = groq.AsyncGroq(api_key="x", base_url=provider, http_client=http, max_retries=0)

    async def handle(request: WebSocketRequest) -> None:
        websocket = await request.accept(subprotocol=request.proposed_subprotocols[0])
        try:
            while True:
                text = json.loads(await websocket.get_message())["text"]
                stream = await client.chat.completions.create(
                    model="openai/gpt-oss-20b",
                    messages=[{"role": "system", "content": instructions()}, {"role": "user", "content": text}],
                    stream=True,
                    extra_body={"include_reasoning": False},
                )
                async for chunk in stream:
                    if piece := chunk.choices[0].delta.content:
                        await websocket.send_message(json.dumps({"type": "delta", "text": piece}))
                await websocket.send_message(json.dumps({"type": "reply"}))
        except ConnectionClosed:
            pass

    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_websocket, handle, "127.0.0.1", 0, None)
        print(json.dumps({"url": f"ws://127.0.0.1:{server.port}/"}), flush=True)


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
