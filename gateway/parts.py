"""What every door of the gateway needs: one value, made once by the composition root."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gateway.admission import Admission
from gateway.close_codes import CloseCode
from gateway.config import GatewayConfig
from gateway.conversation import Calls
from gateway.health import Health, HealthCheck
from gateway.intake import Intake
from gateway.load import LoadGauge
from gateway.metronome import Metronome
from gateway.pace import Pace
from gateway.tokens import SpentHere, SpentTokens, TokenVerifier
from gateway.websocket.ending import Ending, Exit
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import RefusedCall
from voicegate.kernel.telemetry import Telemetry


@dataclass(slots=True)
class Connections:
    """The open call connections of this process, so that a shutdown can close them in words."""

    _exits: set[Exit] = field(default_factory=set)
    _holders: dict[str, Exit] = field(default_factory=dict)
    _empty: asyncio.Event = field(default_factory=asyncio.Event)

    def __len__(self) -> int:
        return len(self._exits)

    @contextlib.contextmanager
    def member(self) -> Iterator[Exit]:
        """One connection, from its attachment to the end of its closing."""
        leaving = Exit()
        self._exits.add(leaving)
        self._empty.clear()
        try:
            yield leaving
        finally:
            self._exits.discard(leaving)
            for session_id in [each for each, holder in self._holders.items() if holder is leaving]:
                del self._holders[session_id]
            if not self._exits:
                self._empty.set()

    def hold(self, session_id: str, leaving: Exit) -> None:
        """This connection attached to the call. One that had it before is closed, and never touches the call again:
        a phone that changed its network resumes while its old socket looks alive."""
        before = self._holders.get(session_id)
        if before is not None and before is not leaving:
            before.supersede()
        self._holders[session_id] = leaving

    def holders(self) -> list[tuple[str, Exit]]:
        """Each connected call's session id, and its connection."""
        return list(self._holders.items())

    async def close_all(self, within_s: float) -> None:
        """Close every connection with 1001; return when all are closed, or after ``within_s``."""
        for leaving in list(self._exits):
            leaving.leave(Ending(CloseCode.GOING_AWAY, "this process shuts down; resume the call", "detach"))
        if self._exits:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._empty.wait()


@dataclass(frozen=True, slots=True)
class GatewayParts:
    config: GatewayConfig
    calls: Calls
    clock: Clock
    telemetry: Telemetry
    admission: Admission
    metronome: Metronome
    health: Health
    connections: Connections
    load: LoadGauge
    pace: Pace
    intake: Intake = field(default_factory=Intake)


def build_parts(
    config: GatewayConfig,
    calls: Calls,
    *,
    clock: Clock,
    telemetry: Telemetry,
    checks: Mapping[str, HealthCheck],
    spent: SpentTokens | None = None,
) -> GatewayParts:
    """Wire the parts. ``spent`` is the shared memory of single-use tokens; None: this process's own."""
    health, load, pace = Health(checks, clock), LoadGauge(config.load), Pace()

    async def ready() -> None:
        report = await health.report(calls=calls.live, draining=False)
        if (missing := report.missing()) is not None:
            name, check = missing
            raise RefusedCall(check.code, f"{name} is away; new calls cannot be taken, try again later")

    admission = Admission(
        config.admission,
        tokens=TokenVerifier(clock, secrets=config.token_secrets, keys=config.api_keys),
        spent=spent or SpentHere(clock),
        ready=ready,
        full=lambda session_id: not calls.holds(session_id) and (load.full or not pace.take()),
        clock=clock,
        telemetry=telemetry,
    )
    metronome = Metronome(clock, telemetry, on_lateness=load.observe)
    return GatewayParts(config, calls, clock, telemetry, admission, metronome, health, Connections(), load, pace)
