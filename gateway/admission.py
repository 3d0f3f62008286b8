"""Who may call: decided before the upgrade, from the request's headers and the state of this process.

The order is fixed: cheap and anonymous checks first, the token before anything that tells about our state, and the
spending of a single-use token last, so that a refusal for another reason does not burn it.
"""

import base64
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from gateway.origins import forwarded_from_elsewhere, host_is_loopback, is_loopback, origin_allowed
from gateway.rate import PeerBuckets
from gateway.tokens import SpentTokens, TokenVerifier
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import RefusedCall
from voicegate.kernel.telemetry import Telemetry

SESSION_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
TOKEN_SUBPROTOCOL: Final = "voicegate.token."  # noqa: S105 - the prefix, not a token
_TELL_EVERY_S: Final = 1.0
_BUSY_S: Final = 5.0
"""When to try again after a refusal for load: it takes that long to fall."""
_ELSEWHERE_S: Final = 1.0
"""When to try again after a refusal by a process that ends: another one takes the call at once, if there is one."""
_QUERY_TOKENS: Final = frozenset(
    {
        "token",
        "access_token",
        "accesstoken",
        "api_key",
        "apikey",
        "api-key",
        "key",
        "auth",
        "authorization",
        "bearer",
        "jwt",
    }
)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AdmissionConfig:
    """Who may call without a token, and how many may at once."""

    host: str = "127.0.0.1"
    """The address that the gateway listens on."""
    anonymous: bool = False
    """Take calls without a token from everywhere, not only on loopback."""
    allowed_origins: tuple[str, ...] = ()
    """Origins, such as ``https://app.example.com``, whose pages may call without a token."""
    max_connections: int = 200
    """Open call connections of this process."""
    connections_per_s: float = 5.0
    """New connections of one peer address, sustained."""
    connection_burst: float = 50.0


@dataclass(frozen=True, slots=True)
class Knock:
    """A request to call, as plain data."""

    session_id: str
    peer: str
    host: str
    """The ``Host`` header."""
    origin: str | None = None
    authorization: str | None = None
    subprotocols: tuple[str, ...] = ()
    query_names: tuple[str, ...] = ()
    forwarding: tuple[tuple[str, str], ...] = ()
    """Forwarding headers that are present (:data:`gateway.origins.FORWARDING_HEADERS`)."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A call that may begin."""

    session_id: str
    agent: str = ""
    """The only agent this caller may talk to; empty: any."""
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class LinePass:
    """A phone carrier's connection that may come up; whether its call may begin is decided when it says which it is."""

    vouched: bool
    """It has proved that a call may begin."""
    anonymous: bool
    """It has not, and may do without (loopback development mode)."""
    agent: str = ""
    """The only agent that it may talk to; empty: any."""


class Admission:
    """One a process."""

    def __init__(
        self,
        config: AdmissionConfig,
        *,
        tokens: TokenVerifier,
        spent: SpentTokens,
        ready: Callable[[], Awaitable[None]],
        full: Callable[[str], bool],
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        """``ready`` raises :class:`RefusedCall` while calls cannot be taken; ``full`` tells whether the load of this
        process forbids the call with this session id."""
        self._full = full
        self._config = config
        self._ready = ready
        self._tokens = tokens
        self._spent = spent
        self._clock = clock
        self._telemetry = telemetry
        self._peers = PeerBuckets(config.connections_per_s, config.connection_burst)
        self._open = 0
        self._busy_untold, self._busy_told_at = 0, float("-inf")
        self._gauge = telemetry.gauge("voicegate_gateway_connections", "Open call connections")
        self.draining = False
        """Set when the process shuts down: no new calls."""

    async def admit(self, knock: Knock) -> Pass:
        """Decide on one request.

        Raises:
            RefusedCall: with a code of :data:`gateway.problems.REFUSALS`.
            StateUnavailable: a single-use token cannot be checked now.
        """
        try:
            return await self._admit(knock)
        except RefusedCall as refusal:
            self.refused(refusal.code)
            raise

    async def admit_line(
        self,
        knock: Knock,
        *,
        proven: bool,
        guarded: bool,
        signed: bool = False,
        known: bool = False,
        elsewhere: bool = False,
    ) -> LinePass:
        """Decide on a connection, or a webhook, of a phone carrier: it names no session. ``proven``: it carries the
        carrier's own proof, else a token of ours is looked for (Bearer, or as the password of HTTP Basic). ``guarded``:
        the carrier's proofs are set up, so nobody does without. ``signed``: it comes from the carrier, which does not
        say yet for which call. ``known``: it brings no new call, or one that is yet to be asked for (:meth:`full`), so
        that load is no reason to refuse it. ``elsewhere``: any process can go on with what it asks for, so that the end
        of this one is no reason to refuse it.

        Raises:
            RefusedCall: as :meth:`admit`.
            StateUnavailable: a single-use token cannot be checked now.
        """
        try:
            if not elsewhere:
                self._check_draining()
            if not (proven or signed):  # all calls of a carrier come from few addresses
                self._check_rate(knock.peer)
            return await self._admit_line(knock, proven, guarded, known)
        except RefusedCall as refusal:
            self.refused(refusal.code)
            raise

    def identify(self, knock: Knock) -> Pass:
        """Who asks, for a question beside a call: no single-use token is spent, and nothing of our state is told.

        Raises:
            RefusedCall: who asks may not call.
        """
        self._check_rate(knock.peer)
        token = presented_token(knock.authorization, knock.subprotocols)
        if token is None:
            return self._anonymous(knock)
        return Pass(knock.session_id, self._tokens.verify(token, knock.session_id).agent)

    async def spend_once(self, name: str, expires: int) -> None:
        """A proof that is good once, until ``expires`` (seconds since the epoch).

        Raises:
            RefusedCall: ``token_used``.
            StateUnavailable: it cannot be checked now.
        """
        if not await self._spent.spend(name, expires):
            self.refused("token_used")
            raise RefusedCall("token_used", "this proof was used before")

    def full(self, session_id: str) -> bool:
        """The load of this process forbids this call now; one that it does not forbid is counted as begun."""
        return self._full(session_id)

    def refused(self, code: str) -> None:
        """Count a refusal. Those of a second that are ``busy`` share a line in the log."""
        self._telemetry.counter("voicegate_gateway_refusals_total", "Calls refused", code=code).inc()
        if code != "busy":
            return
        self._busy_untold += 1
        now = self._clock.monotonic()
        if now >= self._busy_told_at + _TELL_EVERY_S:
            _log.info("calls refused: busy", calls=self._busy_untold, connections=self._open)
            self._busy_untold, self._busy_told_at = 0, now

    @contextmanager
    def seat(self) -> Iterator[None]:
        """Hold one of ``max_connections``.

        Raises:
            RefusedCall: ``busy``, none is free.
        """
        self._check_room()
        self._open += 1
        self._gauge.set(self._open)
        try:
            yield
        finally:
            self._open -= 1
            self._gauge.set(self._open)

    async def _admit(self, knock: Knock) -> Pass:
        self._check_draining()
        self._check_rate(knock.peer)
        if not SESSION_ID.fullmatch(knock.session_id):
            raise RefusedCall("bad_session_id", "a session id is 1 to 64 characters of A-Z a-z 0-9 _ -")
        self._check_query(knock)
        token = presented_token(knock.authorization, knock.subprotocols)
        if token is None:
            granted = self._anonymous(knock)
            self._check_full(knock.session_id)
            await self._ready()
            return granted
        claims = self._tokens.verify(token, knock.session_id)
        self._check_full(knock.session_id)
        self._check_room()
        await self._ready()
        if claims.token_id and not await self._spent.spend(claims.token_id, claims.expires):
            raise RefusedCall("token_used", "this token was good for one call; get a new one")
        return Pass(knock.session_id, claims.agent)

    async def _admit_line(self, knock: Knock, proven: bool, guarded: bool, known: bool) -> LinePass:
        self._check_query(knock)
        token = None if proven else presented_token(basic_as_bearer(knock.authorization), knock.subprotocols)
        claims = self._tokens.verify(token, knock.session_id) if token is not None else None
        anonymous = not (proven or claims or guarded) and self._may_be_anonymous(knock)
        if not known and (proven or claims or anonymous):  # nobody else gets so far as to begin a call
            self._check_full(knock.session_id)
        self._check_room()
        await self._ready()
        if claims and claims.token_id and not await self._spent.spend(claims.token_id, claims.expires):
            raise RefusedCall("token_used", "this token was good for one call; get a new one")
        return LinePass(proven or claims is not None, anonymous, claims.agent if claims else "")

    def _may_be_anonymous(self, knock: Knock) -> bool:
        """On loopback only: who may call a public gateway without a token may not for that pass for a carrier."""
        try:
            self._check_loopback(knock)
        except RefusedCall:
            return False
        return origin_allowed(knock.origin, knock.host, self._config.allowed_origins)

    def _check_draining(self) -> None:
        if self.draining:
            raise RefusedCall("draining", "this process is shutting down; connect again", retry_after_s=_ELSEWHERE_S)

    def _check_full(self, session_id: str) -> None:
        if self._full(session_id):
            raise RefusedCall("busy", "this process is at its limit; try again in a moment", retry_after_s=_BUSY_S)

    def _check_query(self, knock: Knock) -> None:
        if _QUERY_TOKENS.intersection(name.lower() for name in knock.query_names):
            raise RefusedCall(
                "token_in_query",
                "a token in the address ends up in logs; send it as 'Authorization: Bearer' or as the subprotocol "
                f"'{TOKEN_SUBPROTOCOL}<token>', and replace the one that was sent",
            )

    def _check_room(self) -> None:
        if self._open >= self._config.max_connections:
            raise RefusedCall("busy", f"{self._config.max_connections} calls are connected; try again later")

    def _check_rate(self, peer: str) -> None:
        wait = self._peers.wait_s(peer, self._clock.monotonic())
        if wait:
            raise RefusedCall("too_many_connections", "connect less often", retry_after_s=wait)

    def _anonymous(self, knock: Knock) -> Pass:
        if not self._config.anonymous:
            self._check_loopback(knock)
        if not origin_allowed(knock.origin, knock.host, self._config.allowed_origins):
            raise RefusedCall(
                "foreign_origin", f"pages of {str(knock.origin)[:100]} are not allowed: list the origin, or use a token"
            )
        return Pass(knock.session_id, anonymous=True)

    def _check_loopback(self, knock: Knock) -> None:
        if not is_loopback(self._config.host):
            raise RefusedCall("unauthorized", "send a token: 'Authorization: Bearer <token>'")
        if not is_loopback(knock.peer) or forwarded_from_elsewhere(knock.forwarding):
            raise RefusedCall("foreign_client", "calls without a token are taken from this machine only")
        if not host_is_loopback(knock.host):
            # A name of a foreign page that resolves to 127.0.0.1 (DNS rebinding) passes every Origin check.
            raise RefusedCall("foreign_client", "call by the name localhost or by a loopback address, or use a token")


def presented_token(authorization: str | None, subprotocols: Sequence[str]) -> str | None:
    """The token in the ``Authorization`` header or in a subprotocol entry, or None where there is none.

    Raises:
        RefusedCall: ``unauthorized``, another scheme than Bearer or an empty token.
    """
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise RefusedCall("unauthorized", "the Authorization header must be 'Bearer <token>'")
        return token.strip()
    for entry in subprotocols:
        if entry.startswith(TOKEN_SUBPROTOCOL):
            return entry.removeprefix(TOKEN_SUBPROTOCOL)
    return None


def basic_as_bearer(authorization: str | None) -> str | None:
    """HTTP Basic (RFC 7617) with a token of ours as its password, as Bearer: many PBXs know no other."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return authorization
    try:
        _, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return "Bearer "
    return f"Bearer {password}" if colon else "Bearer "
