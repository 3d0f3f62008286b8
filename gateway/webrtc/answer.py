"""Writing the answer to an :class:`~gateway.webrtc.offer.Offer`. Pure.

All of our candidates stand in it: a WHIP server never trickles (RFC 9725 section 4.3.1). Opus is asked for as speech:
wideband is all that the engines hear, in-band FEC is what repairs losses (RFC 7587 section 6.1), and 32 kbit/s leave it
room: Chromium takes 20 for wideband unless it is told.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from gateway.webrtc.offer import AudioSection, DataSection, Fingerprint, IceLogin, Offer, RejectedSection

MAX_MESSAGE_BYTES: Final = 65_536
"""Largest data channel message we take: every event and command is smaller."""
SCTP_PORT: Final = 5000

Role: TypeAlias = Literal["active", "passive"]


@dataclass(frozen=True, slots=True)
class LocalCandidate:
    foundation: str
    priority: int
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class LocalSide:
    """What we put into the answer."""

    login: IceLogin
    fingerprint: Fingerprint
    candidates: Sequence[LocalCandidate]
    """At least one."""
    ssrc: int
    cname: str
    origin_id: int
    """A number that the answer's ``o=`` line carries."""


def our_role(offer: Offer) -> Role:
    """Who opens DTLS: we do, unless the peer insists (RFC 8842 section 5.3): that saves half a round trip."""
    return "passive" if offer.setup == "active" else "active"


def write_answer(offer: Offer, local: LocalSide) -> str:
    """The answer as SDP."""
    lines = [
        "v=0",
        f"o=- {local.origin_id} 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
    ]
    if offer.bundled:
        live = [section.mid for section in offer.sections if not isinstance(section, RejectedSection)]
        lines.append(" ".join(["a=group:BUNDLE", *live]))
    lines += ["a=ice-options:trickle", "a=msid-semantic: WMS *"]
    for section in offer.sections:
        match section:
            case AudioSection():
                lines += _audio(section, offer, local)
            case DataSection():
                lines += _data(section, offer, local)
            case rejected:
                lines += [f"m={rejected.media} 0 {rejected.proto} {rejected.formats}", "c=IN IP4 0.0.0.0"]
                lines += [f"a=mid:{rejected.mid}", "a=inactive"]
    return "\r\n".join([*lines, ""])


def _audio(section: AudioSection, offer: Offer, local: LocalSide) -> Iterator[str]:
    number = section.payload_type
    first = local.candidates[0]
    yield f"m=audio {first.port} UDP/TLS/RTP/SAVPF {number}"
    yield f"c=IN IP{_version(first.address)} {first.address}"
    yield "a=rtcp:9 IN IP4 0.0.0.0"
    yield f"a=mid:{section.mid}"
    yield from _transport(offer, local)
    for candidate in local.candidates:
        yield (
            f"a=candidate:{candidate.foundation} 1 udp {candidate.priority} {candidate.address} {candidate.port} "
            "typ host generation 0"
        )
    yield "a=end-of-candidates"
    yield "a=sendrecv" if section.direction == "sendrecv" else "a=recvonly"
    yield "a=rtcp-mux"
    yield f"a=rtpmap:{number} opus/48000/2"
    yield f"a=fmtp:{number} minptime=10;useinbandfec=1;stereo=0;maxplaybackrate=16000;maxaveragebitrate=32000"
    yield "a=ptime:20"
    if section.direction == "sendrecv":
        yield "a=msid:voicegate agent"
        yield f"a=ssrc:{local.ssrc} cname:{local.cname}"
        yield f"a=ssrc:{local.ssrc} msid:voicegate agent"


def _data(section: DataSection, offer: Offer, local: LocalSide) -> Iterator[str]:
    yield "m=application 9 UDP/DTLS/SCTP webrtc-datachannel"
    yield "c=IN IP4 0.0.0.0"
    yield f"a=mid:{section.mid}"
    yield from _transport(offer, local)
    yield f"a=sctp-port:{SCTP_PORT}"
    yield f"a=max-message-size:{MAX_MESSAGE_BYTES}"


def _transport(offer: Offer, local: LocalSide) -> Iterator[str]:
    yield f"a=ice-ufrag:{local.login.ufrag}"
    yield f"a=ice-pwd:{local.login.password}"
    yield f"a=fingerprint:{local.fingerprint.algorithm} {local.fingerprint.digest}"
    yield f"a=setup:{our_role(offer)}"


def _version(address: str) -> int:
    return ipaddress.ip_address(address).version
