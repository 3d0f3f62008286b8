"""What browser calls cost with aiortc as it is: an echo, every frame decoded and encoded, and nothing else.

``python -m benchmarks.webrtc_plain --port N``

The yardstick of :mod:`benchmarks.webrtc`. It has no voice activity, no speech to text, no agent and no session: less
work than a voice agent's, on the same event loop (uvloop).
"""

import asyncio
import signal
from typing import Annotated

import typer
import uvloop
from aiohttp import web
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription

_CALLS = web.AppKey("calls", set[RTCPeerConnection])


async def whip(request: web.Request) -> web.Response:
    """Answer an offer with an echo of its audio."""
    peer = RTCPeerConnection()
    request.app[_CALLS].add(peer)

    @peer.on("track")
    def on_track(track: MediaStreamTrack) -> None:
        peer.addTrack(track)

    await peer.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
    await peer.setLocalDescription(await peer.createAnswer())
    location = {"Location": f"/whip/{id(peer)}"}
    return web.Response(status=201, text=peer.localDescription.sdp, content_type="application/sdp", headers=location)


async def gone(request: web.Request) -> web.Response:
    """Hanging up: the process ends with the measurement."""
    return web.Response()


async def ready(request: web.Request) -> web.Response:
    return web.Response()


async def serve(port: int) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    application = web.Application()
    application[_CALLS] = set()
    application.add_routes([web.post("/whip", whip), web.delete("/whip/{call}", gone), web.get("/health/ready", ready)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await stop.wait()


def main(port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")]) -> None:
    """Run the echo."""
    uvloop.run(serve(port))


if __name__ == "__main__":
    typer.run(main)
