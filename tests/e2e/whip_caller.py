"""Callers by WebRTC in a process that can be killed: ``python -m tests.e2e.whip_caller URL N FATE``.

FATE ``part``: N calls one after the other, each ended in another way. ``hold``: N calls at once, which stay until the
process is killed; it prints ``up`` when all have media.
"""

import asyncio
import sys

import aiohttp

from voicegate.client.connection import CallTarget
from voicegate.client.webrtc import WhipSocket, connect_whip
from voicegate.kernel.ids import new_session_id

_HEARD_PACKETS = 3


async def call(http: aiohttp.ClientSession, url: str) -> WhipSocket:
    """A call that has heard some of the agent's answer."""
    socket = await connect_whip(http, CallTarget(new_session_id(), url=url, greeting=False))
    await socket.send_str('{"type":"text","text":"Are you there?"}')
    heard = 0
    async for message in socket:
        heard += message.type is aiohttp.WSMsgType.BINARY
        if heard >= _HEARD_PACKETS:
            return socket
    raise RuntimeError("the call ended before it was heard")


async def part(http: aiohttp.ClientSession, url: str, n: int) -> None:
    socket = await call(http, url)
    match n % 4:
        case 0:
            await socket.close()
        case 1:
            await socket.send_str('{"type":"session.end"}')
            async for _ in socket:
                pass
            await socket.close()
        case 2:  # a tab that is closed
            await socket._pc.close()
            socket._resource = ""
            await socket.close()
        case _:  # the network goes
            await socket.vanish()
            socket._resource = ""
            await socket.close()


async def main(url: str, count: int, fate: str) -> None:
    async with aiohttp.ClientSession() as http:
        if fate == "part":
            for n in range(count):
                await part(http, url, n)
            return
        kept = await asyncio.gather(*(call(http, url) for _ in range(count)))
        print("up", len(kept), flush=True)
        await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
