"""What the phone doors need beside the gateway's parts: one value, made once by the composition root."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from gateway.admission import Knock
from gateway.origins import FORWARDING_HEADERS
from gateway.phone.capability import Capabilities
from gateway.phone.line_orders import PhoneOrders
from gateway.phone.lines import PhoneLines
from gateway.phone.numbers import NumberPlan
from gateway.phone.protocol import Carrier
from gateway.phone.reception import Reception
from gateway.phone.rest import CarrierApi
from sessions.orders import Order, Outcome
from voicegate.kernel.errors import RefusedCall

SendOrder = Callable[[str, Order], Awaitable[Outcome]]
"""Has an order carried out by the process that holds the session, whichever it is. Raises StateUnavailable."""


@dataclass(frozen=True, slots=True)
class PhoneParts:
    carriers: Mapping[str, Carrier]
    """By name, those that are set up."""
    capabilities: Capabilities
    reception: Reception
    numbers: NumberPlan
    apis: Mapping[str, CarrierApi] = field(default_factory=dict)
    """REST APIs of the carriers whose accounts are set up, by the carrier's name."""
    lines: PhoneLines = field(default_factory=PhoneLines)
    public_url: str = ""
    """Our address as carriers know it, ``https://host``; empty: taken from each request, for development."""
    elsewhere: SendOrder | None = None
    """For orders to calls of other processes; None: there is no other."""

    @property
    def orders(self) -> PhoneOrders:
        """What may be done with the calls of this process."""
        return PhoneOrders(self.lines, self.capabilities, self.apis, self.public_url)

    def carrier(self, name: str) -> Carrier:
        """Raises RefusedCall: ``unknown_carrier``."""
        found = self.carriers.get(name)
        if found is None:
            raise RefusedCall("unknown_carrier", f"known are {', '.join(sorted(self.carriers))}")
        return found

    def url_of(self, request: web.Request) -> str:
        """Our address as this request's carrier knows it."""
        return self.public_url or f"{request.scheme}://{request.host}"


def headers_of(request: web.Request) -> dict[str, str]:
    """Names in lower case, repeated ones joined."""
    joined: dict[str, str] = {}
    for name, value in request.headers.items():
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined


def knock_of(request: web.Request, carrier: str) -> Knock:
    """The request as admission wants it; a token of ours must be for any session, or for the carrier's name."""
    headers = request.headers
    offered = headers.get("Sec-WebSocket-Protocol", "").split(",")
    return Knock(
        session_id=carrier,
        peer=request.remote or "",
        host=headers.get("Host", ""),
        origin=headers.get("Origin"),
        authorization=headers.get("Authorization"),
        subprotocols=tuple(entry.strip() for entry in offered if entry.strip()),
        query_names=tuple(request.query),
        forwarding=tuple((name, value) for name in FORWARDING_HEADERS for value in headers.getall(name, [])),
    )
