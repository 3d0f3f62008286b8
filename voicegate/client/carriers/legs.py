"""The leg that a target and the gateway's answer ask for. PURE."""

from collections.abc import Mapping
from dataclasses import replace

from voicegate.client.carriers.answers import AnswerNotUnderstood, StreamOrder
from voicegate.client.carriers.asterisk import AsteriskLeg
from voicegate.client.carriers.audiosocket import AudioSocketLeg
from voicegate.client.carriers.exotel import ExotelLeg
from voicegate.client.carriers.freeswitch import FreeswitchLeg
from voicegate.client.carriers.genesys import GenesysLeg
from voicegate.client.carriers.jambonz import JambonzLeg
from voicegate.client.carriers.leg import CallFacts, Leg
from voicegate.client.carriers.plivo import PlivoLeg
from voicegate.client.carriers.target import PhoneTarget
from voicegate.client.carriers.telnyx import ENCODINGS, TelnyxLeg
from voicegate.client.carriers.twilio import TwilioLeg
from voicegate.client.carriers.vonage import VonageLeg

_PLIVO_DEFAULT = "audio/x-l16;rate=8000"
_PLIVO_TYPES = (("audio/x-mulaw", 8_000), ("audio/x-l16", 8_000), ("audio/x-l16", 16_000))
_VONAGE_RATES_HZ = (8_000, 16_000, 24_000)


def open_leg(target: PhoneTarget, facts: CallFacts, order: StreamOrder | None) -> Leg:
    """The carrier's side of a new stream.

    Raises:
        AnswerNotUnderstood: the answer asks for a stream that the carrier does not have.
    """
    if order is not None:
        facts = replace(facts, parameters=dict(facts.parameters) | dict(order.parameters))
    attributes = order.attributes if order else {}
    match target.via:
        case "twilio":
            return TwilioLeg(facts, silence_after_ms=target.silence_after_ms)
        case "telnyx":
            return _telnyx(target, facts, attributes)
        case "plivo":
            return _plivo(facts, attributes)
        case "vonage":
            return _vonage(facts, attributes)
        case "exotel":
            return ExotelLeg(facts, rate_hz=_rate_hz(target, 8_000))
        case "genesys":
            return GenesysLeg(facts)
        case "jambonz":
            return JambonzLeg(facts, rate_hz=_rate_hz(target, 8_000))
        case "freeswitch":
            return FreeswitchLeg(facts, rate_hz=_rate_hz(target, 8_000))
        case "asterisk":
            return AsteriskLeg(facts, form=target.format or "ulaw")
        case _:
            return AudioSocketLeg(facts)


def _rate_hz(target: PhoneTarget, default_hz: int) -> int:
    return int(target.format) if target.format else default_hz


def _telnyx(target: PhoneTarget, facts: CallFacts, attributes: Mapping[str, str]) -> TelnyxLeg:
    if attributes.get("bidirectionalMode") != "rtp":
        raise AnswerNotUnderstood("without bidirectionalMode rtp Telnyx takes only MP3 files")
    encoding, _, rate = (target.format or "PCMU").partition("/")
    back = attributes.get("bidirectionalCodec", encoding)
    rate_hz, back_hz = int(rate or 8_000), int(attributes.get("bidirectionalSamplingRate", "8000"))
    if encoding not in ENCODINGS or back not in ENCODINGS:
        raise AnswerNotUnderstood(f"the simulated leg has {', '.join(ENCODINGS)}, not {encoding} and {back}")
    return TelnyxLeg(facts, encoding=encoding, rate_hz=rate_hz, back=back, back_hz=back_hz)


def _plivo(facts: CallFacts, attributes: Mapping[str, str]) -> PlivoLeg:
    if attributes.get("bidirectional") != "true":
        raise AnswerNotUnderstood("the answer's stream is not bidirectional")
    content_type, rate_hz = _media_type(attributes.get("contentType", _PLIVO_DEFAULT))
    if (content_type, rate_hz) not in _PLIVO_TYPES:
        raise AnswerNotUnderstood(f"Plivo has no streams in {content_type} at {rate_hz} Hz")
    return PlivoLeg(facts, content_type=content_type, rate_hz=rate_hz)


def _vonage(facts: CallFacts, attributes: Mapping[str, str]) -> VonageLeg:
    content_type, rate_hz = _media_type(attributes.get("content-type", ""))
    if content_type != "audio/l16" or rate_hz not in _VONAGE_RATES_HZ:
        raise AnswerNotUnderstood(f"Vonage has no streams in {content_type!r} at {rate_hz} Hz")
    return VonageLeg(facts, rate_hz=rate_hz)


def _media_type(text: str) -> tuple[str, int]:
    """``audio/l16;rate=16000`` in its two parts; the rate is 0 where it is missing."""
    name, _, rate = text.replace(" ", "").partition(";rate=")
    return name, int(rate) if rate.isdigit() else 0
