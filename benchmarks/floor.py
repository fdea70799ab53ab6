"""The floor: asyncio, an aiohttp WebSocket, httpx and msgspec, nothing else. No memory, no turns."""

import asyncio
import json
import sys

import aiohttp.web
import httpx
import msgspec

from evaa.llm.prompt import instructions


class Delta(msgspec.Struct):
    content: str | None = None


class Choice(msgspec.Struct):
    delta: Delta


class Chunk(msgspec.Struct):
    choices: list[Choice]


DECODER = msgspec.json.Decoder(Chunk)
ENCODER = msgspec.json.Encoder()


async def answer(client: httpx.AsyncClient, websocket: aiohttp.web.WebSocketResponse, text: str) -> None:
    messages = [{"role": "system", "content": instructions()}, {"role": "user", "content": text}]
    body = {"model": "openai/gpt-oss-20b", "messages": messages, "stream": True, "include_reasoning": False}
    async with client.stream("POST", "/openai/v1/chat/completions", content=ENCODER.encode(body)) as response:
        rest = b""
        async for data in response.aiter_raw():
            *events, rest = (rest + data).split(b"\n\n")
            chunks = [DECODER.decode(event[6:]) for event in events if event != b"data: [DONE]"]
            if piece := "".join(chunk.choices[0].delta.content or "" for chunk in chunks):
                await websocket.send_str(ENCODER.encode({"type": "delta", "text": piece}).decode())
    await websocket.send_str('{"type":"reply"}')


async def main(provider: str) -> None:
    limits = httpx.Limits(max_connections=500, max_keepalive_connections=25, keepalive_expiry=300)
    headers = {"Authorization": "Bearer x", "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=provider, headers=headers, limits=limits) as client:

        async def handle(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
            websocket = aiohttp.web.WebSocketResponse(protocols=("evaa.v2.json",))
            await websocket.prepare(request)
            async for message in websocket:
                await answer(client, websocket, msgspec.json.decode(message.data)["text"])
            return websocket

        app = aiohttp.web.Application()
        app.router.add_get("/", handle)
        runner = aiohttp.web.AppRunner(app)
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        print(json.dumps({"url": f"ws://127.0.0.1:{port}/"}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
