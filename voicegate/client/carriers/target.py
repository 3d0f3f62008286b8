"""Whom a simulated carrier calls, and as which carrier. PURE."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from voicegate.client.carriers.leg import CallFacts

PhoneVia: TypeAlias = Literal[
    "twilio",
    "telnyx",
    "plivo",
    "vonage",
    "exotel",
    "genesys",
    "jambonz",
    "freeswitch",
    "asterisk",
    "audiosocket",
]
PHONES: tuple[PhoneVia, ...] = get_args(PhoneVia)
BY_WEBHOOK: tuple[PhoneVia, ...] = ("twilio", "telnyx", "plivo", "vonage")
"""These ask an answer webhook what to do with a call."""


@dataclass(frozen=True, slots=True)
class PhoneTarget:
    """A call to place."""

    via: PhoneVia
    url: str = "ws://127.0.0.1:8000"
    """The gateway: ``ws://``, ``wss://``, ``http://`` or ``https://``, host and port. AudioSocket's dial plan asks
    there for the call's UUID; with ``tcp://`` it makes one up and calls there."""
    public_url: str = ""
    """The address that the operator gave to the carrier, if it is another one: signatures are made over it."""
    secret: str = field(default="", repr=False)
    """What carrier and gateway share, see :mod:`~voicegate.client.carriers.proofs`. Empty: nothing is signed."""
    key: str = field(default="", repr=False)
    """Genesys: the API key. Others: a token that stands in the configured address, ``/phone/<carrier>/<token>``."""
    caller: str = "+15550000001"
    called: str = "+15550000002"
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Custom parameters, where the operator sets them at the carrier."""
    format: str = ""
    """Audio on the wire where the carrier's side chooses it; empty: its default. telnyx: ``PCMU``, ``PCMA``,
    ``L16/16000`` (the call leg's); exotel, jambonz, freeswitch: the rate; asterisk: ``ulaw``, ``alaw``, ``slin16``."""
    network_ms: float = 20.0
    """From the carrier to the gateway, and the same back."""
    call_id: str = ""
    """Empty: a new one. AudioSocket: the UUID that the gateway expects; then nobody is asked."""
    tcp_port: int = 9_092
    """Where AudioSocket listens, on the host of ``url``."""
    silence_after_ms: int | None = None
    """Twilio: send nothing once the caller has been silent for that long."""

    def base(self, *, socket: bool) -> str:
        """The gateway's reachable address as ``ws`` or ``http``."""
        return _scheme(self.url, socket=socket)

    def known_as(self, *, socket: bool) -> str:
        """The address that the carrier believes to call."""
        return _scheme(self.public_url or self.url, socket=socket)

    def reachable(self, url: str) -> str:
        """``url``, which the gateway gave under its public address, at the address where it can be reached."""
        for socket in (True, False):
            known = self.known_as(socket=socket)
            if url == known or url.startswith(known + "/"):
                return self.base(socket=socket) + url.removeprefix(known)
        return url

    def facts(self) -> CallFacts:
        """A new call's ids, of the shape that the carrier gives them."""
        call, stream = uuid.uuid4(), uuid.uuid4()
        match self.via:
            case "twilio":
                ids = (f"CA{call.hex}", f"MZ{stream.hex}", f"AC{'0' * 31}1")
            case "telnyx":
                ids = (f"v2:{call}", str(stream), "1")
            case "vonage":
                ids = (str(call), f"CON-{stream}", "simulated-application")
            case "exotel":
                ids = (call.hex, stream.hex, "simulated-account")
            case "genesys":
                ids = (str(call), str(stream), "d7934305-0972-4844-938e-9060eef73d05")
            case "asterisk":
                ids = (f"simulated-{call.fields[0]}.{call.fields[1]}", f"media/{stream}", "")
            case _:
                ids = (str(call), str(stream), "simulated-account")
        return CallFacts(self.call_id or ids[0], ids[1], ids[2], self.caller, self.called, dict(self.parameters))


def _scheme(url: str, *, socket: bool) -> str:
    host = url.partition("://")[2] or url
    secure = url.startswith(("https://", "wss://"))
    name = ("wss" if secure else "ws") if socket else ("https" if secure else "http")
    return f"{name}://{host}".rstrip("/")
