"""The control API's settings, as values. Read from the environment elsewhere, once."""

from dataclasses import dataclass, field

from control_api.credits.config import CreditsConfig
from control_api.db.database import DatabaseConfig
from control_api.identity.issuer import IssuerConfig
from control_api.identity.outsiders import IssuerSetting
from control_api.rate import Limit


@dataclass(frozen=True, slots=True)
class ControlConfig:
    database: DatabaseConfig
    host: str = "127.0.0.1"
    port: int = 8001
    """0 picks a free one."""
    gateway_url: str = "http://localhost:8000"
    """Where callers reach the gateway; sessions give addresses below it."""
    allowed_origins: tuple[str, ...] = ()
    """Web pages of these origins may read answers (CORS)."""
    issuer: IssuerConfig = field(default_factory=IssuerConfig)
    outsiders: tuple[IssuerSetting, ...] = ()
    requests: Limit = field(default_factory=lambda: Limit(per_s=100, burst=400))
    """Of each user or API key."""
    strangers: Limit = field(default_factory=lambda: Limit(per_s=5, burst=50))
    """Of each address, at what needs no token."""
    logins: Limit = field(default_factory=lambda: Limit(per_s=1 / 60, burst=5))
    """Wrong passwords of each user."""
    stale_s: float = 3600.0
    """How long an answer is kept for when the database is away; 0: not at all."""
    grace_s: float = 900.0
    """While the database or an issuer is away: so long after they were verified, callers may go on reading."""
    max_body_bytes: int = 1024 * 1024
    credits: CreditsConfig = field(default_factory=CreditsConfig)
    plain_http_tools: bool = False
    """Tools may have addresses without TLS; whether they are reached, the composition root decides."""
    live_s: float = 3600.0
    """Longest life of a stream of live figures."""
    drain_s: float = 3.0
    """Time for requests to end at shutdown."""
