"""A browser call that costs little: real ICE, DTLS and SRTP, but the voice is encoded in advance and what comes back is
only timed. Many of them in one process load a gateway without becoming what is measured.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import aiohttp
import numpy as np
from pylibsrtp import Session

from audiocodecs.libopus import Encoder
from gateway.webrtc.candidates import CandidatePolicy, read_candidate
from gateway.webrtc.certificate import Credentials
from gateway.webrtc.demux import Kind
from gateway.webrtc.dtls import Dtls, DtlsState
from gateway.webrtc.ice import Ice
from gateway.webrtc.offer import Fingerprint, IceLogin
from gateway.webrtc.rtp import build_rtp
from voicegate.client.connection import CallFailed
from voicegate.kernel.audio import FRAME_MS, PIPELINE_RATE_HZ, Samples, frame_samples
from voicegate.kernel.telemetry import NoTelemetry

Through: TypeAlias = Callable[[tuple[str, int]], Awaitable[tuple[str, int]]]

PAYLOAD_TYPE: Final = 111
_TICKS: Final = 48 * FRAME_MS
_CONNECT_S: Final = 20.0
_HOST: Final = "127.0.0.1"


def encoded(samples: Samples, pause_s: float) -> list[bytes]:
    """A clip (16 kHz) and a pause after it as Opus packets of 20 ms, as a browser makes them."""
    encoder = Encoder(bit_rate=32_000, complexity=9, fec=True)
    size = frame_samples(PIPELINE_RATE_HZ)
    silence = np.zeros(-samples.size % size + round(pause_s * PIPELINE_RATE_HZ) // size * size, np.int16)
    return [encoder.encode(frame) for frame in np.concatenate([samples, silence]).reshape(-1, size)]


class Caller:
    """One call. :meth:`tick` each 20 ms sends the next packet of ``voice``, which is said over and over."""

    def __init__(self, credentials: Credentials, voice: Sequence[bytes], ssrc: int) -> None:
        self.arrivals: list[float] = []
        """When each packet of the agent came, by ``time.perf_counter``."""
        self.hear: Callable[[bytes], None] | None = None
        """Gets the agent's RTP decrypted, where somebody wants it."""
        self._voice = voice
        self._ssrc = ssrc
        self._credentials = credentials
        self._ice = Ice(CandidatePolicy(True), self._deliver, NoTelemetry().counter("", ""))
        self._dtls: Dtls | None = None
        self._outbound: Session | None = None
        self._connected = asyncio.Event()
        self._number = 0
        self._resource = ""

    async def connect(self, http: aiohttp.ClientSession, url: str, *, through: Through | None = None) -> None:
        """Call by WHIP at ``url`` and wait for SRTP. With ``through``, media goes by the address that it gives for the
        gateway's, and the caller's own is not told.

        Raises:
            CallFailed: refused, or no connection within 20 s.
        """
        await self._ice.listen([_HOST], [0])
        offer = self._offer(hidden=through is not None)
        async with http.post(f"{url}/whip", data=offer, headers={"Content-Type": "application/sdp"}) as answer:
            text = await answer.text()
            if answer.status != 201:
                raise CallFailed(f"WHIP refused: {answer.status} {text[:200]}")
            self._resource = answer.headers["Location"]
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._join(text, through)
        except TimeoutError:
            raise CallFailed("no media connection") from None

    def tick(self) -> None:
        """Send the next packet."""
        outbound = self._outbound
        if outbound is None:
            return
        number = self._number
        self._number += 1
        payload = self._voice[number % len(self._voice)]
        self._ice.send(outbound.protect(build_rtp(PAYLOAD_TYPE, number, number * _TICKS, self._ssrc, payload)))

    def report(self, rtcp: bytes) -> None:
        """Send an RTCP packet."""
        if self._outbound is not None:
            self._ice.send(self._outbound.protect_rtcp(rtcp))

    def gaps_ms(self, from_s: float, to_s: float) -> list[float]:
        """Between packets that came one after the other, in a stretch of time."""
        times = np.array([each for each in self.arrivals if from_s <= each < to_s])
        return [float(each) for each in np.diff(times) * 1000]

    async def hang_up(self, http: aiohttp.ClientSession, url: str) -> None:
        self._outbound = None
        if self._resource:
            async with http.delete(f"{url}{self._resource}"):
                pass
        await self._ice.shut(1.0)

    async def vanish(self) -> None:
        """Gone without a word."""
        self._outbound = None
        await self._ice.shut(1.0)

    async def _join(self, answer: str, through: Through | None) -> None:
        ufrag, password, digest, setup = (
            _find(rf"^a={name}:(?:sha-256 )?(\S+)", answer) for name in ("ice-ufrag", "ice-pwd", "fingerprint", "setup")
        )
        role = "passive" if setup == "active" else "active"
        self._dtls = Dtls(
            self._credentials, "passive" if role == "passive" else "active", [Fingerprint("sha-256", digest)]
        )
        for line in re.findall(r"^a=candidate:(.+?)\r?$", answer, re.MULTILINE):
            candidate = read_candidate(line)
            if candidate is not None and through is not None:
                host, port = await through((candidate.host, candidate.port))
                candidate = replace(candidate, host=host, port=port)
            if candidate is not None:
                await self._ice.add(candidate)
        self._ice.switch_role(ice_controlling=True)
        await self._ice.open(IceLogin(ufrag, password), lite=False)
        if role == "active":
            self._send_all(self._dtls.start())
        while not self._connected.is_set():
            await asyncio.sleep(0.02)
            self._send_all(self._dtls.tick())

    def _deliver(self, kind: Kind, datagram: bytes) -> None:
        if kind is Kind.RTP:
            self.arrivals.append(time.perf_counter())
            if self.hear is not None and self._dtls is not None and self._dtls.inbound is not None:
                self.hear(self._dtls.inbound.unprotect(datagram))
        elif kind is Kind.DTLS and self._dtls is not None:
            self._send_all(self._dtls.receive(datagram)[1])
            if self._dtls.state is DtlsState.CONNECTED and self._outbound is None and not self._connected.is_set():
                self._outbound = self._dtls.outbound
                self._connected.set()

    def _send_all(self, datagrams: Sequence[bytes]) -> None:
        for each in datagrams:
            self._ice.send(each)

    def _offer(self, *, hidden: bool) -> str:
        login, fingerprint = self._ice.login, self._credentials.fingerprint
        [candidate] = self._ice.candidates()
        lines = [
            "v=0",
            "o=- 1 2 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE 0",
            f"m=audio 9 UDP/TLS/RTP/SAVPF {PAYLOAD_TYPE}",
            "c=IN IP4 0.0.0.0",
            "a=rtcp:9 IN IP4 0.0.0.0",
            f"a=ice-ufrag:{login.ufrag}",
            f"a=ice-pwd:{login.password}",
            f"a=fingerprint:{fingerprint.algorithm} {fingerprint.digest}",
            "a=setup:actpass",
            "a=mid:0",
            "a=sendrecv",
            "a=msid:caller microphone",
            "a=rtcp-mux",
            f"a=rtpmap:{PAYLOAD_TYPE} opus/48000/2",
            f"a=fmtp:{PAYLOAD_TYPE} minptime=10;useinbandfec=1",
            f"a=ssrc:{self._ssrc} cname:caller",
        ]
        if not hidden:
            lines.append(f"a=candidate:1 1 udp 2130706431 {candidate.address} {candidate.port} typ host")
        return "\r\n".join([*lines, "a=end-of-candidates", ""])


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise CallFailed(f"the answer has no {pattern}")
    return found[1]
