"""Ten carriers, ten protocols: each of the gateway's state machines against its carrier's side, message by message.

The two sides were written apart from one another, both from the vendors' documents. No socket, no clock: what one
says the other takes, 20 ms after 20 ms.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pytest

from audiocodecs.registry import open_decoder, open_encoder
from audiocodecs.resample import resample_whole
from gateway.phone.asterisk.protocol import Address as AsteriskAddress
from gateway.phone.asterisk.protocol import AsteriskProtocol, ChannelOptions
from gateway.phone.audiosocket.protocol import AudioSocketOptions, AudioSocketProtocol
from gateway.phone.exotel.protocol import ExotelProtocol
from gateway.phone.freeswitch.protocol import Address, StreamOptions, StreamProtocol
from gateway.phone.genesys.protocol import GenesysProtocol, Opening
from gateway.phone.jambonz.protocol import ListenOptions, ListenProtocol
from gateway.phone.messages import (
    Audio,
    Began,
    Drained,
    Ended,
    Fact,
    KeyPressed,
    MarkReturned,
    PhoneFormat,
    Send,
    SendBinary,
    SendText,
)
from gateway.phone.plivo.protocol import PlivoProtocol
from gateway.phone.protocol import PhoneProtocol
from gateway.phone.telnyx.protocol import TelnyxProtocol
from gateway.phone.twilio.protocol import TwilioProtocol
from gateway.phone.vonage.protocol import VonageProtocol
from voicegate.client.carriers.asterisk import AsteriskLeg
from voicegate.client.carriers.audiosocket import AudioSocketLeg
from voicegate.client.carriers.exotel import ExotelLeg
from voicegate.client.carriers.freeswitch import FreeswitchLeg
from voicegate.client.carriers.genesys import GenesysLeg
from voicegate.client.carriers.jambonz import JambonzLeg
from voicegate.client.carriers.leg import CallFacts, Leg, Message
from voicegate.client.carriers.plivo import PlivoLeg
from voicegate.client.carriers.telnyx import TelnyxLeg
from voicegate.client.carriers.twilio import TwilioLeg
from voicegate.client.carriers.vonage import VonageLeg
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples

ID = str(uuid.UUID(int=77))
FACTS = CallFacts(ID, str(uuid.UUID(int=78)), "account", "+15551", "+15552", {"call_id": ID, "colour": "red"})
_F = TypeVar("_F")


@dataclass
class Pair:
    """Both sides, and what the gateway's side made of what the carrier said."""

    leg: Leg
    protocol: PhoneProtocol
    facts: list[Fact] = field(default_factory=list)

    def to_gateway(self, messages: Sequence[Message]) -> None:
        for message in messages:
            taken = (
                self.protocol.receive_text(message)
                if isinstance(message, str)
                else self.protocol.receive_binary(message)
            )
            for step in taken:
                if isinstance(step, SendText | SendBinary):
                    self.to_carrier([step])
                else:
                    self.facts.append(step)
                    if isinstance(step, Began):
                        self.to_carrier(self.protocol.accepted())

    def to_carrier(self, sends: Sequence[Send]) -> None:
        for send in sends:
            text = isinstance(send, SendText)
            self.to_gateway(self.leg.receive(send.data.decode() if text else send.data))

    def begin(self) -> Began:
        self.to_carrier(self.protocol.connected())
        self.to_gateway(self.leg.begin())
        for _ in range(3):
            self.say(np.zeros(self.leg.rate_hz // 50, np.int16))
        [began] = self.of(Began)
        return began

    def say(self, samples: Samples) -> Samples:
        """20 ms after 20 ms; what was played meanwhile."""
        size = self.leg.rate_hz // 50
        played = []
        for at in range(0, samples.size, size):
            tick = self.leg.tick(samples[at : at + size])
            played.append(np.zeros(size, np.int16) if tick.played is None else tick.played)
            self.to_gateway(tick.messages)
        return np.concatenate(played)

    def of(self, kind: type[_F]) -> list[_F]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


def _genesys() -> PhoneProtocol:
    return GenesysProtocol(Opening(FACTS.stream_id, FACTS.account))


MAKE: dict[str, tuple[Callable[[], Leg], Callable[[], PhoneProtocol]]] = {
    "twilio": (lambda: TwilioLeg(FACTS), lambda: TwilioProtocol(returns=True)),
    "telnyx": (lambda: TelnyxLeg(FACTS), lambda: _telnyx(PhoneFormat("pcmu", 8_000))),
    "telnyx L16": (
        lambda: TelnyxLeg(FACTS, encoding="L16", rate_hz=16_000),
        lambda: _telnyx(PhoneFormat("l16", 16_000)),
    ),
    "telnyx PCMA": (lambda: TelnyxLeg(FACTS, encoding="PCMA"), lambda: _telnyx(PhoneFormat("pcma", 8_000))),
    "plivo": (lambda: PlivoLeg(FACTS), PlivoProtocol),
    "plivo L16": (lambda: PlivoLeg(FACTS, content_type="audio/x-l16", rate_hz=16_000), PlivoProtocol),
    "vonage": (lambda: VonageLeg(FACTS, rate_hz=16_000), VonageProtocol),
    "vonage 8": (lambda: VonageLeg(FACTS, rate_hz=8_000), VonageProtocol),
    "vonage 24": (lambda: VonageLeg(FACTS, rate_hz=24_000), VonageProtocol),
    "exotel": (lambda: ExotelLeg(FACTS), ExotelProtocol),
    "exotel 16": (lambda: ExotelLeg(FACTS, rate_hz=16_000), ExotelProtocol),
    "genesys": (lambda: GenesysLeg(FACTS), _genesys),
    "jambonz": (lambda: JambonzLeg(FACTS), lambda: ListenProtocol(ListenOptions())),
    "jambonz clips": (
        lambda: JambonzLeg(FACTS, streaming=False),
        lambda: ListenProtocol(ListenOptions(streaming=False)),
    ),
    "freeswitch": (lambda: FreeswitchLeg(FACTS), lambda: StreamProtocol(StreamOptions(), Address())),
    "freeswitch wav": (
        lambda: FreeswitchLeg(FACTS),
        lambda: StreamProtocol(StreamOptions(playback="wav"), Address()),
    ),
    "asterisk": (lambda: AsteriskLeg(FACTS), lambda: AsteriskProtocol(ChannelOptions(), AsteriskAddress())),
    "asterisk slin16": (
        lambda: AsteriskLeg(FACTS, form="slin16"),
        lambda: AsteriskProtocol(ChannelOptions(), AsteriskAddress()),
    ),
    "asterisk plain": (
        lambda: AsteriskLeg(FACTS, form="alaw", control="plain"),
        lambda: AsteriskProtocol(ChannelOptions(buffering=True), AsteriskAddress()),
    ),
    "audiosocket": (lambda: AudioSocketLeg(FACTS), lambda: AudioSocketProtocol(AudioSocketOptions())),
}


def _telnyx(spoken: PhoneFormat) -> PhoneProtocol:
    return TelnyxProtocol(spoken, little_endian=False, returns=False)


@pytest.fixture(params=MAKE)
def pair(request: pytest.FixtureRequest) -> Pair:
    leg, protocol = MAKE[request.param]
    return Pair(leg(), protocol())


def chirp(seconds: float, rate_hz: int) -> Samples:
    """A rising tone within a telephone's band."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    wave: Samples = (9000 * np.sin(2 * np.pi * (300 + 500 * t) * t)).astype(np.int16)
    return wave


def likeness(heard: Samples, said: Samples) -> float:
    """The best normalised correlation of ``said`` with any stretch of ``heard``; 1 is the same."""
    a, b = heard.astype(np.float64), said.astype(np.float64)
    if a.size < b.size:
        a = np.pad(a, (0, b.size - a.size))
    sums = np.concatenate([[0.0], np.cumsum(a**2)])
    energy = sums[b.size :] - sums[: -b.size]
    size = 1 << (a.size - 1).bit_length()  # what wraps round lies behind the places that are looked at
    alike = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)[: energy.size]
    found: float = np.max(alike / np.sqrt(np.maximum(energy, 1.0) * np.sum(b**2)))
    return found


def test_the_call_begins(pair: Pair) -> None:
    began = pair.begin()
    assert began.heard.rate_hz == pair.leg.rate_hz
    assert not pair.leg.over
    assert not pair.leg.dropped
    assert began.call.call_id


def test_what_the_caller_says_arrives_whole_and_in_order(pair: Pair) -> None:
    began = pair.begin()
    said = chirp(1.0, pair.leg.rate_hz)
    pair.say(np.pad(said, (0, pair.leg.rate_hz // 5)))
    decoder = open_decoder(began.heard.encoding, began.heard.rate_hz)
    heard = np.concatenate([decoder.push(audio.data) for audio in pair.of(Audio)])
    expected = resample_whole(said, pair.leg.rate_hz, PIPELINE_RATE_HZ)
    assert likeness(heard, expected) > 0.99


def speak(pair: Pair, seconds: float) -> Samples:
    """The gateway says a chirp in packets as its driver sends them; returns what was said."""
    spoken = pair.of(Began)[0].spoken
    said = chirp(seconds, spoken.rate_hz)
    packets = open_encoder(spoken.encoding, spoken.rate_hz).push(said)
    step = pair.protocol.traits.packet_ms // 20
    for at in range(0, len(packets), step):
        pair.to_carrier(pair.protocol.play(b"".join(packets[at : at + step])))
    return resample_whole(said, spoken.rate_hz, pair.leg.rate_hz)


def test_what_the_agent_says_is_played_whole_and_its_mark_returns(pair: Pair) -> None:
    pair.begin()
    said = speak(pair, 0.2)
    pair.to_carrier(pair.protocol.mark("m-1"))
    played = [pair.say(np.zeros(pair.leg.rate_hz // 5 - pair.leg.rate_hz // 50, np.int16))]
    early = pair.of(MarkReturned)
    played.append(pair.say(np.zeros(pair.leg.rate_hz // 5, np.int16)))
    assert likeness(np.concatenate(played), said) > 0.99
    assert not pair.leg.dropped
    if pair.protocol.traits.has_marks and not isinstance(pair.leg, GenesysLeg):
        assert early == []
        assert pair.of(MarkReturned) == [MarkReturned("m-1")]
    if isinstance(pair.leg, GenesysLeg):
        assert any(pair.of(Drained)) or any(pair.of(MarkReturned))


def test_clear_silences_the_ear(pair: Pair) -> None:
    if not pair.protocol.traits.has_clear:
        pytest.skip("this carrier cannot be stopped")
    pair.begin()
    speak(pair, 1.0)
    pair.to_carrier(pair.protocol.mark("m-1"))
    assert pair.say(np.zeros(pair.leg.rate_hz // 10, np.int16)).any()
    pair.to_carrier(pair.protocol.clear())
    assert not pair.say(np.zeros(pair.leg.rate_hz // 2, np.int16)).any()
    if pair.of(MarkReturned):
        assert pair.protocol.traits.clear_returns_marks, "its driver would take this mark for a proof"
    said = speak(pair, 0.2)
    assert likeness(pair.say(np.zeros(pair.leg.rate_hz // 2, np.int16)), said) > 0.99, "and it can speak again"


def test_keys_arrive(pair: Pair) -> None:
    pair.begin()
    for key in "0*#9":
        pair.to_gateway(pair.leg.press(key))
    expected = [] if isinstance(pair.leg, FreeswitchLeg) else ["0", "*", "#", "9"]
    assert [key.digit for key in pair.of(KeyPressed)] == expected


def test_the_caller_hangs_up(pair: Pair) -> None:
    pair.begin()
    pair.to_gateway(pair.leg.hang_up())
    told = bool(pair.of(Ended))
    assert pair.leg.over or isinstance(pair.leg, GenesysLeg)
    silent = isinstance(pair.leg, PlivoLeg | JambonzLeg | FreeswitchLeg | AsteriskLeg)
    assert told != silent, "some carriers only close the socket"


def test_the_gateway_hangs_up(pair: Pair) -> None:
    pair.begin()
    pair.to_carrier(pair.protocol.hang_up("agent"))
    assert not pair.leg.dropped
    by_word = isinstance(pair.leg, GenesysLeg | JambonzLeg | AsteriskLeg | AudioSocketLeg)
    assert bool(pair.leg.over) == by_word, "for others the close of the socket is it"
