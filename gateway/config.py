"""The gateway's settings, as values. Read from the environment elsewhere, once."""

from dataclasses import dataclass, field

from gateway.admission import AdmissionConfig
from gateway.load import LoadConfig
from gateway.origins import is_loopback
from gateway.siblings import Worker
from gateway.websocket.limits import SocketLimits
from voicegate.kernel.errors import ConfigError


@dataclass(frozen=True, slots=True)
class DrainConfig:
    """How a process with calls in progress ends."""

    patience_s: float = 20.0
    """How long calls may go on undisturbed."""
    boundary_s: float = 20.0
    """How long after that to wait for each call's next turn boundary."""


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    host: str = "127.0.0.1"
    port: int = 8000
    """0 picks a free one."""
    anonymous: bool = False
    """Take calls without a token although the address is not loopback."""
    allowed_origins: tuple[str, ...] = ()
    token_secrets: tuple[str, ...] = field(default=(), repr=False)
    """Secrets that sign our tokens; all verify."""
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    max_connections: int = 200
    connections_per_s: float = 5.0
    connection_burst: float = 50.0
    close_s: float = 3.0
    """Time for connections to close at shutdown."""
    drain: DrainConfig = field(default_factory=DrainConfig)
    limits: SocketLimits = field(default_factory=SocketLimits)
    worker: Worker | None = None
    """This process is one of several that share the port."""
    load: LoadConfig = field(default_factory=LoadConfig)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ConfigError(f"port is {self.port}; allowed are 0 to 65535")
        if not (self.anonymous or is_loopback(self.host) or self.token_secrets or self.api_keys):
            raise ConfigError(
                f"listening on {self.host} needs a token secret or an API key, or anonymous calls allowed: "
                "otherwise nobody could call"
            )

    @property
    def admission(self) -> AdmissionConfig:
        return AdmissionConfig(
            host=self.host,
            anonymous=self.anonymous,
            allowed_origins=self.allowed_origins,
            max_connections=self.max_connections,
            connections_per_s=self.connections_per_s,
            connection_burst=self.connection_burst,
        )
