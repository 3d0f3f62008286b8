"""What each carrier puts into its requests: form, body, signature, ids, credentials. PURE.

==============  ====================================================================
carrier         ``PhoneTarget.secret``
==============  ====================================================================
twilio          the account's auth token; signs webhook and upgrade
telnyx          the private Ed25519 key of webhooks, 32 bytes in base64
plivo           the account's auth token; signs the webhook
vonage          the signature secret; signs the webhook's JWT
genesys         the client secret in base64; signs the upgrade, ``key`` is the API key
others          ``user:password`` for basic authentication
==============  ====================================================================
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

import msgspec

from voicegate.client.carriers import plivo as plivo_leg
from voicegate.client.carriers import signatures
from voicegate.client.carriers.answers import Order, StreamOrder, read_ncco, read_plivo, read_twiml
from voicegate.client.carriers.jambonz import SUBPROTOCOL as JAMBONZ_SUBPROTOCOL
from voicegate.client.carriers.leg import CallFacts
from voicegate.client.carriers.target import PhoneTarget

_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Request:
    """A POST."""

    url: str
    """As the carrier knows it."""
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A WebSocket to open."""

    url: str
    """As the carrier knows it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    protocols: tuple[str, ...] = ()
    protocol_needed: bool = False
    """The carrier gives up when none of its subprotocols was chosen."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """What may be used once, and now."""

    now_s: int
    """Unix time."""
    nonce: str
    """At least 22 characters."""


def webhook(target: PhoneTarget, facts: CallFacts, url: str, fresh: Freshness, **more: str) -> Request:
    """The question what to do with the call; ``more`` are further fields."""
    match target.via:
        case "twilio":
            form = _twilio_form(facts) | more
            body = urlencode(form).encode()
            proof = {"X-Twilio-Signature": signatures.twilio(target.secret, url, form)}
        case "telnyx":
            form = _telnyx_form(facts) | more
            body = urlencode(form).encode()
            proof = _telnyx_proof(target.secret, str(fresh.now_s), body)
        case "plivo":
            form = _plivo_form(facts) | more
            body = urlencode(form).encode()
            signed = signatures.plivo(target.secret, url, form, fresh.nonce)
            proof = {"X-Plivo-Signature-V3": signed, "X-Plivo-Signature-V3-Nonce": fresh.nonce}
        case _:
            body = msgspec.json.encode(_vonage_fields(facts) | more)
            return Request(url, {"Content-Type": "application/json"} | _vonage_proof(target, facts, fresh, body), body)
    return Request(url, {"Content-Type": _FORM} | (proof if target.secret else {}), body)


def uuid_question(target: PhoneTarget, facts: CallFacts) -> Request:
    """Asterisk's dial plan (``CURL()``) asks for the UUID of an AudioSocket call."""
    body = urlencode({"caller": facts.caller, "called": facts.called}).encode()
    url = f"{target.known_as(socket=False)}/phone/audiosocket/answer"
    return Request(url, {"Content-Type": _FORM} | _basic(target), body)


def read_answer(target: PhoneTarget, text: str) -> Order:
    """What the webhook answered.

    Raises:
        AnswerNotUnderstood: the carrier would not understand it.
    """
    match target.via:
        case "twilio" | "telnyx":
            return read_twiml(text)
        case "plivo":
            return read_plivo(text)
        case _:
            return read_ncco(text)


def upgrade(target: PhoneTarget, facts: CallFacts, order: StreamOrder | None, fresh: Freshness) -> Upgrade:
    """The WebSocket of the stream; without an ``order`` it goes to the address that the operator configured."""
    token = f"/{quote(target.key, safe='')}" if target.key and target.via != "genesys" else ""
    url = order.url if order else f"{target.known_as(socket=True)}/phone/{target.via}{token}"
    match target.via:
        case "twilio":
            url = url.partition("?")[0]  # Twilio drops the query
            return Upgrade(url, {"X-Twilio-Signature": signatures.twilio(target.secret, url)} if target.secret else {})
        case "plivo":
            return Upgrade(url, {}, (plivo_leg.SUBPROTOCOL,))
        case "genesys":
            return Upgrade(url, _genesys_headers(target, facts, url, fresh))
        case "jambonz":
            return Upgrade(url, _basic(target), (JAMBONZ_SUBPROTOCOL,), protocol_needed=True)
        case "asterisk":
            return Upgrade(_with_query(url, facts.parameters), _basic(target), ("media",))
        case "exotel":
            query = {"sample-rate": target.format} if target.format else {}
            return Upgrade(_with_query(url, query), _basic(target))
        case "freeswitch":
            return Upgrade(url, _basic(target))
        case _:
            return Upgrade(url)


def _twilio_form(facts: CallFacts) -> dict[str, str]:
    return {
        "AccountSid": facts.account,
        "ApiVersion": "2010-04-01",
        "CallSid": facts.call_id,
        "CallStatus": "ringing",
        "Called": facts.called,
        "Caller": facts.caller,
        "Direction": "inbound",
        "From": facts.caller,
        "To": facts.called,
    }


def _telnyx_form(facts: CallFacts) -> dict[str, str]:
    return {
        "AccountSid": facts.account,
        "CallSid": facts.call_id,
        "CallStatus": "ringing",
        "Direction": "inbound",
        "From": facts.caller,
        "To": facts.called,
    }


def _telnyx_proof(secret: str, timestamp: str, body: bytes) -> dict[str, str]:
    if not secret:
        return {}
    signed = signatures.telnyx(base64.b64decode(secret), timestamp, body)
    return {"telnyx-signature-ed25519": signed, "telnyx-timestamp": timestamp}


def _plivo_form(facts: CallFacts) -> dict[str, str]:
    return {
        "CallStatus": "ringing",
        "CallUUID": facts.call_id,
        "Direction": "inbound",
        "Event": "StartApp",
        "From": facts.caller.removeprefix("+"),
        "To": facts.called.removeprefix("+"),
    }


def _vonage_fields(facts: CallFacts) -> dict[str, str]:
    return {
        "from": facts.caller.removeprefix("+"),
        "to": facts.called.removeprefix("+"),
        "uuid": facts.call_id,
        "conversation_uuid": facts.stream_id,
        "region_url": "https://api-us-3.vonage.com",
    }


def _vonage_proof(target: PhoneTarget, facts: CallFacts, fresh: Freshness, body: bytes) -> dict[str, str]:
    if not target.secret:
        return {}
    token = signatures.vonage(
        target.secret, body, issued_at=fresh.now_s, token_id=fresh.nonce, application=facts.account
    )
    return {"Authorization": f"Bearer {token}"}


def _genesys_headers(target: PhoneTarget, facts: CallFacts, url: str, fresh: Freshness) -> dict[str, str]:
    headers = {
        "audiohook-organization-id": facts.account,
        "audiohook-session-id": facts.stream_id,
        "audiohook-correlation-id": facts.call_id,
        "x-api-key": target.key,
    }
    if not target.secret:
        return headers
    signed = signatures.genesys(target.secret, headers, url, key=target.key, nonce=fresh.nonce, created=fresh.now_s)
    return headers | signed


def _basic(target: PhoneTarget) -> dict[str, str]:
    if not target.secret:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(target.secret.encode()).decode()}"}


def _with_query(url: str, query: Mapping[str, str]) -> str:
    return url + ("&" if "?" in url else "?") + urlencode(query) if query else url
