"""AudioSocket as a carrier: its answer only, since its audio does not come by WebSocket."""

import uuid

from gateway.phone.audiosocket.answer import AudioSocketAnswer
from gateway.phone.audiosocket.config import AudioSocketConfig
from gateway.phone.audiosocket.protocol import NAME
from gateway.phone.protocol import Carrier, PhoneProtocol, Upgrade
from voicegate.kernel.errors import RefusedCall


def audiosocket(config: AudioSocketConfig) -> Carrier:
    return Carrier(
        NAME,
        open=_not_here,
        vouch=_refuse,
        guarded=bool(config.credentials),
        answer=AudioSocketAnswer(lambda: str(uuid.uuid4()), config.credentials),
    )


def _refuse(upgrade: Upgrade, now_s: float) -> bool:
    raise RefusedCall("unknown_carrier", "AudioSocket is a TCP line of its own, not a WebSocket")


def _not_here(upgrade: Upgrade) -> PhoneProtocol:
    raise AssertionError("no upgrade is let through")
