"""A started gateway that takes calls of every carrier, and what it keeps of each call."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.phone_setup import PhoneSetup
from sessions.keys import PREFIX
from tests.e2e.served import Served
from voicegate.client.carriers.phone import PhoneCall
from voicegate.client.carriers.target import PhoneTarget, PhoneVia
from voicegate.kernel.events import Event, SessionEnded

_STORED_S = 10.0


@dataclass
class Lines:
    """The gateway and the secrets that it shares with the carriers."""

    data_dir: Path
    environment: dict[str, str] = field(default_factory=dict)
    setup: PhoneSetup = field(default_factory=PhoneSetup)

    def __post_init__(self) -> None:
        self.served = Served(self.data_dir, self.setup.environment("") | self.environment)

    def target(self, via: PhoneVia, **fields: Any) -> PhoneTarget:
        """A call by ``via``."""
        url = f"ws://127.0.0.1:{self.served.port}"
        return replace(self.setup.target(via, url), **fields)

    def session_of(self, call: PhoneCall) -> str:
        """The session of a carrier's call, found by the call id in its context."""
        until = time.monotonic() + _STORED_S
        while time.monotonic() < until:
            with self.served.redis() as client:
                for key in client.scan_iter(f"{PREFIX}*", _type="hash"):
                    context = client.hget(key, "context")
                    if context and call.facts.call_id in msgspec.json.decode(context, type=dict[str, str]).values():
                        return str(key.decode().removeprefix(PREFIX))
            time.sleep(0.05)
        raise AssertionError(f"no session has the call {call.facts.call_id}\n{self.served.log[-2000:]}")

    def context_of(self, session_id: str) -> dict[str, str]:
        """What the agent knows of the call."""
        with self.served.redis() as client:
            context = client.hget(PREFIX + session_id, "context")
        return msgspec.json.decode(context or b"{}", type=dict[str, str])

    def ended(self, session_id: str) -> list[Event]:
        """All events of a session that is over."""
        until = time.monotonic() + _STORED_S
        events = self.served.events(session_id)
        while not (events and isinstance(events[-1], SessionEnded)) and time.monotonic() < until:
            time.sleep(0.05)
            events = self.served.events(session_id)
        assert isinstance(events[-1], SessionEnded), "the session did not end"
        return events
