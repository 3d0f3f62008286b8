"""What goes over the wire for each way of calling."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from audiocodecs import g711
from audiocodecs.registry import StreamDecoder, StreamEncoder, open_decoder, open_encoder
from voicegate.kernel.audio import Samples

Encoding: TypeAlias = Literal["pcm16", "pcmu", "pcma", "opus"]


@dataclass(frozen=True, slots=True)
class WireFormat:
    """One encoding of the full profile."""

    name: Encoding
    nominal_rate_hz: int
    """The rate that ``session.start`` names."""
    tape_rate_hz: int
    """The rate of the samples on our side, both ways."""

    def as_json(self) -> dict[str, object]:
        return {"encoding": self.name, "rate": self.nominal_rate_hz}

    def encoder(self) -> StreamEncoder:
        return open_encoder(self.name, self.tape_rate_hz)

    def decoder(self) -> "StreamDecoder":
        """To mono int16 at ``tape_rate_hz``. G.711 stays at 8 kHz, so that no filter's delay is in what is measured."""
        match self.name:
            case "pcmu" | "pcma":
                return _Law(self.name)
            case _:
                return open_decoder(self.name, self.tape_rate_hz)


FORMATS: dict[Encoding, WireFormat] = {
    "pcm16": WireFormat("pcm16", 16_000, 16_000),
    "pcmu": WireFormat("pcmu", 8_000, 8_000),
    "pcma": WireFormat("pcma", 8_000, 8_000),
    "opus": WireFormat("opus", 48_000, 16_000),
}
"""``opus`` packets always count at 48 kHz (RFC 7587); they are made from and decoded to 16 kHz."""


class _Law:
    def __init__(self, name: Literal["pcmu", "pcma"]) -> None:
        self._decode = g711.ulaw_decode if name == "pcmu" else g711.alaw_decode

    def push(self, data: bytes, /) -> Samples:
        return self._decode(data)

    def flush(self) -> Samples:
        return self._decode(b"")
