"""The same relay on asyncio and aiohttp, whose WebSocket is partly written in C: for orientation."""

import asyncio
import json
import sys

import aiohttp
import aiohttp.web

from benchmarks.recording import DIALECTS, unpacking


async def discard(websocket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in websocket:
        pass


async def main(recogniser: str) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        async def handle(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
            client = aiohttp.web.WebSocketResponse(protocols=DIALECTS.values())
            await client.prepare(request)
            unpack = unpacking(client.ws_protocol or "")
            async with http.ws_connect(f"{recogniser}/v2/listen") as upstream:
                hearing = asyncio.create_task(discard(upstream))
                async for message in client:
                    if audio := unpack(message.data):
                        await upstream.send_bytes(audio)
                hearing.cancel()
            return client

        app = aiohttp.web.Application()
        app.router.add_get("/", handle)
        runner = aiohttp.web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await aiohttp.web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        print(json.dumps({"url": f"ws://127.0.0.1:{runner.addresses[0][1]}/"}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
