"""AudioSocket's settings, as values."""

from dataclasses import dataclass, field

from gateway.origins import is_loopback
from gateway.phone.audiosocket.protocol import RATES_HZ, AudioSocketOptions
from gateway.phone.audiosocket.wire import read_types
from voicegate.kernel.errors import ConfigError


@dataclass(frozen=True, slots=True)
class AudioSocketConfig:
    host: str = "127.0.0.1"
    port: int = 9092
    """0 picks a free one."""
    open: bool = False
    """Take calls with any UUID; on loopback only."""
    credentials: str = field(default="", repr=False)
    """``user:password`` with which the dial plan asks for a UUID."""
    rate_hz: int = 8_000
    """0: that of the first audio."""
    types: str = ""
    """Audio types, as :func:`gateway.phone.audiosocket.wire.read_types` reads them."""

    def __post_init__(self) -> None:
        if self.open and not is_loopback(self.host):
            raise ConfigError(f"AudioSocket takes any UUID on loopback only, not on {self.host}")
        if self.rate_hz not in (0, *RATES_HZ) or self.rate_hz not in (0, *read_types(self.types).values()):
            raise ConfigError(f"AudioSocket cannot speak at {self.rate_hz} Hz")

    @property
    def options(self) -> AudioSocketOptions:
        return AudioSocketOptions(self.rate_hz, read_types(self.types), secret_uuid=not self.open)
