"""Reading a WebRTC offer: what we need of it, in one pass over bounded lines. Pure.

SDP (RFC 8866) as WebRTC uses it (RFC 9429): one audio section with Opus, at most one data channel section, everything
bundled (RFC 9143) with RTP and RTCP on one port (RFC 5761). Nothing of the offer is kept as text except what the
answer repeats, and that is checked character by character.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from gateway.webrtc.candidates import RemoteCandidate, read_candidate
from gateway.webrtc.sdp_lines import OFFER_BOUNDS, bounded_lines
from voicegate.kernel.errors import RefusedCall

Direction: TypeAlias = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
Setup: TypeAlias = Literal["actpass", "active", "passive"]

_DIRECTIONS: Final[dict[str, Direction]] = {
    "sendrecv": "sendrecv",
    "sendonly": "sendonly",
    "recvonly": "recvonly",
    "inactive": "inactive",
}
_SETUPS: Final[dict[str, Setup]] = {"actpass": "actpass", "active": "active", "passive": "passive"}
_DIGEST_BYTES: Final = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`{|}~]{1,64}")
"""RFC 8866: ``token``, and no longer than anybody needs."""
_UFRAG: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}")
_FORMATS: Final = re.compile(r"[A-Za-z0-9\-]{1,32}( [A-Za-z0-9\-]{1,32}){0,63}")
LEAST_MESSAGE_BYTES: Final = 16_384
"""Events are cut to what the peer takes; below this nothing useful would be left."""
_DEFAULT_MESSAGE_BYTES: Final = 65_536
"""RFC 8841 section 6.1, where the offer names none."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """RFC 8122."""

    algorithm: str
    digest: str
    """Upper-case hexadecimal pairs, joined by colons."""


@dataclass(frozen=True, slots=True)
class IceLogin:
    """RFC 8839 section 5.4."""

    ufrag: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AudioSection:
    mid: str
    payload_type: int
    """Of Opus (RFC 7587)."""
    direction: Direction


@dataclass(frozen=True, slots=True)
class DataSection:
    mid: str
    sctp_port: int
    max_message_bytes: int
    """What the peer takes; 0: any size."""


@dataclass(frozen=True, slots=True)
class RejectedSection:
    """A section that was offered dead, or that we cannot take."""

    mid: str
    media: str
    proto: str
    formats: str


Section: TypeAlias = AudioSection | DataSection | RejectedSection


@dataclass(frozen=True, slots=True)
class Offer:
    sections: tuple[Section, ...]
    """In the order of the offer, which the answer keeps."""
    audio: AudioSection
    data: DataSection | None
    bundled: bool
    """The offer has a BUNDLE group."""
    login: IceLogin
    ice_lite: bool
    setup: Setup
    fingerprints: tuple[Fingerprint, ...]
    candidates: tuple[RemoteCandidate, ...]


@dataclass(slots=True)
class _Part:
    """The session's part, or one media section."""

    media: str = ""
    port: int = 0
    proto: str = ""
    formats: str = ""
    attributes: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> Iterator[str]:
        return (value for each, value in self.attributes if each == name)

    def first(self, name: str) -> str | None:
        return next(self.all(name), None)

    @property
    def dead(self) -> bool:
        """Offered as unused (RFC 9143 section 6: port 0 is alive where it is bundle-only)."""
        return self.port == 0 and not self.has("bundle-only")

    def has(self, name: str) -> bool:
        return any(each == name for each, _ in self.attributes)


def read_offer(body: bytes) -> Offer:
    """Read the offer of a caller.

    Raises:
        RefusedCall: ``too_large``, ``bad_sdp`` (it is malformed), ``unsupported_media`` (what it offers, we cannot
            answer), ``unsupported_setup`` (roles that cannot be agreed on).
    """
    session, parts = _split(bounded_lines(body, OFFER_BOUNDS))
    mids = [_mid(part, index) for index, part in enumerate(parts)]
    if len(set(mids)) != len(mids):
        raise RefusedCall("bad_sdp", "two media sections have the same mid")
    group = _bundle(session)
    at = _audio_index(parts)
    sections: list[Section] = []
    data: DataSection | None = None
    for index, (mid, part) in enumerate(zip(mids, parts, strict=True)):
        if index == at:
            sections.append(_audio(mid, part, session))
        elif data is None and _is_data(part) and mids[at] in group and mid in group:
            data = _data(mid, part)
            sections.append(data)
        else:
            sections.append(RejectedSection(mid, part.media, part.proto, part.formats))
    audio = sections[at]
    assert isinstance(audio, AudioSection)
    return Offer(
        tuple(sections),
        audio,
        data,
        bundled=bool(group),
        login=_login(parts[at], session),
        ice_lite=session.has("ice-lite"),
        setup=_setup(parts[at], session),
        fingerprints=_fingerprints(parts[at], session),
        candidates=tuple(_candidates([session, *parts])),
    )


def _split(lines: Sequence[str]) -> tuple[_Part, list[_Part]]:
    if not lines or lines[0] != "v=0":
        raise RefusedCall("bad_sdp", "SDP begins with 'v=0'")
    session = _Part()
    parts: list[_Part] = []
    for line in lines:
        kind, sign, value = line.partition("=")
        if len(kind) != 1 or not sign:
            raise RefusedCall("bad_sdp", "a line of SDP is a letter, '=' and a value")
        if kind == "m":
            parts.append(_media(value))
        elif kind == "a":
            name, _, text = value.partition(":")
            (parts[-1] if parts else session).attributes.append((name, text))
    return session, parts


def _media(value: str) -> _Part:
    words = value.split(" ", 3)
    if len(words) < 4 or not _FORMATS.fullmatch(words[3]) or not words[1].isascii() or not words[1].isdecimal():
        raise RefusedCall("bad_sdp", "a media line is 'm=<media> <port> <protocol> <formats>'")
    media, port, proto, formats = words
    if not _TOKEN.fullmatch(media) or not all(_TOKEN.fullmatch(word) for word in proto.split("/")) or len(port) > 5:
        raise RefusedCall("bad_sdp", "a media line is 'm=<media> <port> <protocol> <formats>'")
    return _Part(media, int(port), proto, formats)


def _mid(part: _Part, index: int) -> str:
    mid = part.first("mid")
    if mid is None:
        return str(index)
    if not _TOKEN.fullmatch(mid):
        raise RefusedCall("bad_sdp", "a mid is a token of at most 64 characters")
    return mid


def _bundle(session: _Part) -> frozenset[str]:
    for value in session.all("group"):
        words = value.split(" ")
        if words[0] == "BUNDLE":
            return frozenset(words[1:])
    return frozenset()


def _audio_index(parts: Sequence[_Part]) -> int:
    """The one live section of sound. A live section of anything but sound and data refuses the whole offer (RFC 9725
    section 4.4: no partly taken offers)."""
    found = []
    for index, part in enumerate(parts):
        if part.dead or part.media == "application" or part.has("inactive"):
            continue
        if part.media != "audio":
            raise RefusedCall("unsupported_media", f"only audio is taken; the offer has {part.media!r}")
        found.append(index)
    if len(found) != 1:
        raise RefusedCall("unsupported_media", "the offer must have exactly one audio section that sends")
    return found[0]


def _audio(mid: str, part: _Part, session: _Part) -> AudioSection:
    if not part.proto.endswith("RTP/SAVPF"):
        raise RefusedCall("unsupported_media", "audio must be UDP/TLS/RTP/SAVPF (RFC 5764)")
    if not (part.has("rtcp-mux") or part.has("rtcp-mux-only")):
        raise RefusedCall("unsupported_media", "RTP and RTCP must share a port: offer rtcp-mux")
    direction = next((_DIRECTIONS[n] for each in (part, session) for n, _ in each.attributes if n in _DIRECTIONS), None)
    if direction == "recvonly":
        raise RefusedCall("unsupported_media", "the caller must send: offer sendrecv or sendonly")
    return AudioSection(mid, _opus(part), direction or "sendrecv")


def _opus(part: _Part) -> int:
    offered = part.formats.split(" ")
    for value in part.all("rtpmap"):
        number, _, name = value.partition(" ")
        if name.strip().lower() == "opus/48000/2" and number in offered and len(number) <= 3 and number.isdecimal():
            payload_type = int(number)
            if payload_type < 128 and not 64 <= payload_type < 96:  # RFC 5761 section 4: those look like RTCP
                return payload_type
    raise RefusedCall("unsupported_media", "only Opus is taken (a=rtpmap:<n> opus/48000/2, RFC 7587)")


def _is_data(part: _Part) -> bool:
    return (
        part.media == "application"
        and not part.dead
        and part.proto.endswith("/DTLS/SCTP")
        and part.formats == "webrtc-datachannel"
    )


def _data(mid: str, part: _Part) -> DataSection:
    port = _number(part.first("sctp-port") or "5000", 65_535, "sctp-port")
    largest = _number(part.first("max-message-size") or str(_DEFAULT_MESSAGE_BYTES), 1 << 32, "max-message-size")
    if 0 < largest < LEAST_MESSAGE_BYTES:
        raise RefusedCall("unsupported_media", f"a data channel must take messages of {LEAST_MESSAGE_BYTES} bytes")
    return DataSection(mid, port, largest)


def _number(text: str, most: int, what: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 12 and int(text) <= most):
        raise RefusedCall("bad_sdp", f"{what} is a number of at most {most}")
    return int(text)


def _login(part: _Part, session: _Part) -> IceLogin:
    ufrag = part.first("ice-ufrag") or session.first("ice-ufrag") or ""
    password = part.first("ice-pwd") or session.first("ice-pwd") or ""
    return checked_login(ufrag, password)


def checked_login(ufrag: str, password: str) -> IceLogin:
    """Raises RefusedCall ``bad_sdp`` for anything that RFC 8839 does not allow."""
    if not _UFRAG.fullmatch(ufrag) or not _PASSWORD.fullmatch(password):
        raise RefusedCall("bad_sdp", "ice-ufrag (4 to 256) and ice-pwd (22 to 256 letters, digits, + and /) are needed")
    return IceLogin(ufrag, password)


def _setup(part: _Part, session: _Part) -> Setup:
    value = part.first("setup") or session.first("setup") or "actpass"
    if value not in _SETUPS:
        raise RefusedCall("unsupported_setup", "offer a=setup:actpass, active or passive")
    return _SETUPS[value]


def _fingerprints(part: _Part, session: _Part) -> tuple[Fingerprint, ...]:
    found = []
    for value in [*part.all("fingerprint"), *session.all("fingerprint")][:8]:
        algorithm, _, digest = value.partition(" ")
        size = _DIGEST_BYTES.get(algorithm.lower())
        if size is None:
            continue
        if not re.fullmatch(rf"[0-9A-Fa-f]{{2}}(:[0-9A-Fa-f]{{2}}){{{size - 1}}}", digest):
            raise RefusedCall("bad_sdp", f"the {algorithm.lower()} fingerprint is malformed")
        found.append(Fingerprint(algorithm.lower(), digest.upper()))
    if not found:
        raise RefusedCall("bad_sdp", "a fingerprint by sha-256, sha-384 or sha-512 is needed")
    return tuple(found)


def _candidates(parts: Sequence[_Part]) -> Iterator[RemoteCandidate]:
    for part in parts:
        for value in part.all("candidate"):
            candidate = read_candidate(value)
            if candidate is not None:
                yield candidate
