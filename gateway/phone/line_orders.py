"""What may be done with a phone call of this process beside talking: transfer it, press keys, end it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from gateway.phone.capability import Capabilities
from gateway.phone.lines import PhoneLine, PhoneLines
from gateway.phone.rest import CarrierApi
from voicegate.kernel.errors import RefusedCall

_FETCH_THE_VERB: Final = frozenset({"plivo"})
"""Carriers that come to us for the verb that dials: they must be told where we are."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PhoneOrders:
    """Every method raises RefusedCall: ``unknown_session`` where this process has no phone call of this session id,
    ``not_possible`` where the carrier, or its setup, cannot."""

    lines: PhoneLines
    capabilities: Capabilities
    apis: Mapping[str, CarrierApi]
    public_url: str = ""

    def holds(self, session_id: str) -> bool:
        return self.lines.get(session_id) is not None

    async def transfer(self, session_id: str, number: str, our_url: str = "") -> None:
        """Connect the caller with ``number`` (digits, with or without a plus), and let the call go. When it fails, the
        call is as it was.

        Raises:
            ProviderError: the carrier did not do it.
            StateUnavailable: the dial's capability cannot be kept.
        """
        line = self._line(session_id)
        call = line.call
        api = self._api(line)
        our_url = self.public_url or our_url
        if not our_url and call.provider in _FETCH_THE_VERB:
            raise RefusedCall("not_possible", f"{call.provider} must be told our address: VOICEGATE_PUBLIC_URL")
        token = await self.capabilities.grant_number(number)
        await api.transfer(call.call_id, number, dial_url=f"{our_url}/phone/{call.provider}/dial/{token}")
        _log.info("phone call transferred", provider=call.provider, call_id=call.call_id)
        line.let_go("transferred")

    def press_keys(self, session_id: str, digits: str) -> None:
        """DTMF into the call: 1 to 64 of ``0-9 * # A-D``."""
        line = self._line(session_id)
        if not line.press_keys(digits):
            raise RefusedCall("not_possible", f"{line.call.provider} takes no keys on its stream")

    def hang_up(self, session_id: str) -> None:
        self._line(session_id).hang_up("operator")

    def _line(self, session_id: str) -> PhoneLine:
        line = self.lines.get(session_id)
        if line is None:
            raise RefusedCall("unknown_session", "there is no phone call with this session id")
        return line

    def _api(self, line: PhoneLine) -> CarrierApi:
        api = self.apis.get(line.call.provider)
        if api is None:
            raise RefusedCall("not_possible", f"no account of {line.call.provider} is set up that could transfer")
        return api
