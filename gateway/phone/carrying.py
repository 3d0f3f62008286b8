"""One phone connection from its first message to its close, over a WebSocket or a TCP line."""

from dataclasses import replace

import structlog

from gateway.parts import GatewayParts
from gateway.phone.driver import PhoneDriver
from gateway.phone.parts import PhoneParts
from gateway.phone.protocol import PhoneProtocol
from gateway.phone.reception import Standing
from gateway.phone.wire import Wire
from gateway.websocket.carry import carry
from gateway.websocket.ending import Ending, Exit
from voicegate.kernel.errors import ProviderError

_log = structlog.get_logger(__name__)


async def carry_call(
    parts: GatewayParts,
    phones: PhoneParts,
    wire: Wire,
    protocol: PhoneProtocol,
    standing: Standing,
    leaving: Exit,
    *,
    provider: str,
) -> None:
    """Run it to its end and close it."""
    limits, traits = parts.config.limits, protocol.traits
    driver = PhoneDriver(
        wire,
        protocol,
        phones.reception,
        standing,
        leaving,
        provider=provider,
        lines=phones.lines,
        hold=parts.connections.hold,
        limits=limits,
        clock=parts.clock,
        telemetry=parts.telemetry,
        intake=parts.intake,
    )
    limits = replace(limits, start_timeout_s=traits.handshake_s, session_s=min(limits.session_s, traits.session_s))
    try:
        ending = await carry(wire, driver, leaving, parts.metronome, limits)
        phones.lines.remove(driver)  # before we wait for others: it takes no orders any more
        if ending.peer_gone and driver.begun and not leaving.superseded:
            await _remember_or_forget(phones, driver, ending)
        if driver.hung_up and not traits.close_hangs_up:
            await _hang_up(phones, driver)
    finally:
        phones.lines.remove(driver)
        driver.forget()
    name = ending.code.name.lower()
    parts.telemetry.counter("voicegate_gateway_closes_total", "Call connections closed", code=name).inc()
    _log.info("phone stream closed", provider=provider, code=int(ending.code), name=name, reason=ending.reason)


async def _remember_or_forget(phones: PhoneParts, driver: PhoneDriver, ending: Ending) -> None:
    """The driver says goodbye only to a carrier that is there. What one that is gone leaves must not lie in the store
    for as long as a call may last."""
    if ending.farewell == "detach":
        await phones.reception.wait(driver.call)
    else:
        await phones.reception.release(driver.call)


async def _hang_up(phones: PhoneParts, driver: PhoneDriver) -> None:
    """Where the close alone is not the end of the call."""
    api, call = phones.apis.get(driver.call.provider), driver.call
    if api is None:
        return
    try:
        await api.hang_up(call.call_id)
    except ProviderError as error:
        _log.warning("a carrier did not hang up", provider=error.provider, call_id=call.call_id, error=str(error))
