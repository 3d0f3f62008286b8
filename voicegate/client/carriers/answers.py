"""What a webhook's answer tells a carrier to do: TwiML, TeXML, Plivo XML and NCCO. PURE."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec


class AnswerNotUnderstood(Exception):
    """The message says what is wrong with the answer, as the carrier's debugger would."""


@dataclass(frozen=True, slots=True)
class StreamOrder:
    """Open a stream."""

    url: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Those of the stream verb, or of the endpoint."""
    action: str = ""
    """Where the carrier asks what to do when the stream is over; empty: what follows in the document, then the end."""


@dataclass(frozen=True, slots=True)
class EndOrder:
    """End the call."""

    why: str


Order = StreamOrder | EndOrder


def read_twiml(text: str) -> Order:
    """``<Response>`` of Twilio or (TeXML) Telnyx: the first verb that streams or ends the call.

    Raises:
        AnswerNotUnderstood: no such document.
    """
    for verb in _response(text):
        match verb.tag:
            case "Connect" | "Start" if (stream := verb.find("Stream")) is not None:
                parameters = {each.get("name", ""): each.get("value", "") for each in stream.findall("Parameter")}
                return StreamOrder(_needed(stream, "url"), parameters, dict(stream.attrib), verb.get("action", ""))
            case "Hangup" | "Reject":
                return EndOrder(f"the answer says {verb.tag}")
    return EndOrder("the answer has nothing to do")


def read_plivo(text: str) -> Order:
    """``<Response>`` of Plivo: the stream's address is the element's text.

    Raises:
        AnswerNotUnderstood: no such document.
    """
    for verb in _response(text):
        match verb.tag:
            case "Stream":
                url = (verb.text or "").strip()
                if not url:
                    raise AnswerNotUnderstood("the Stream element has no address")
                return StreamOrder(url, _pairs(verb.get("extraHeaders", "")), dict(verb.attrib))
            case "Hangup":
                return EndOrder("the answer says Hangup")
    return EndOrder("the answer has nothing to do")


def read_ncco(text: str) -> Order:
    """A Vonage call control object: the first ``connect`` to a WebSocket.

    Raises:
        AnswerNotUnderstood: no such list.
    """
    try:
        actions = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise AnswerNotUnderstood(f"the answer is no JSON: {error}") from error
    if not isinstance(actions, list):
        raise AnswerNotUnderstood("the answer is no list of actions")
    for action in actions:
        for endpoint in _endpoints(action):
            headers = endpoint.get("headers") or {}
            attributes = {name: str(value) for name, value in endpoint.items() if name != "headers"}
            parameters = {str(name): str(value) for name, value in headers.items()}
            return StreamOrder(str(endpoint.get("uri", "")), parameters, attributes)
    return EndOrder("the answer connects nothing")


def _endpoints(action: Any) -> list[dict[str, Any]]:
    listed = action.get("endpoint") if isinstance(action, dict) and action.get("action") == "connect" else None
    found = listed if isinstance(listed, list) else []
    return [each for each in found if isinstance(each, dict) and each.get("type") == "websocket"]


def _response(text: str) -> list[ET.Element]:
    try:
        root = ET.fromstring(text)  # noqa: S314 - the answer of the gateway that the operator calls
    except ET.ParseError as error:
        raise AnswerNotUnderstood(f"the answer is no XML: {error}") from error
    if root.tag != "Response":
        raise AnswerNotUnderstood(f"the answer's root is {root.tag}, not Response")
    return list(root)


def _needed(element: ET.Element, name: str) -> str:
    value = element.get(name)
    if not value:
        raise AnswerNotUnderstood(f"{element.tag} has no {name}")
    return value


def _pairs(text: str) -> dict[str, str]:
    """``a=1,b=2`` (Plivo separates extra headers by commas)."""
    pairs = (part.partition("=") for part in text.replace(";", ",").split(",") if part.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}
