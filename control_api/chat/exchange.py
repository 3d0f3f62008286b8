"""One answer of a chat: asks the agent, tells what it does, keeps and charges the outcome, whatever becomes of it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime

import structlog

from control_api.chat.keeping import LONGEST_S, Begun, ChatKeeping, Outcome
from control_api.chat.paying import settle
from control_api.chat.telling import Telling
from control_api.db.database import DatabaseAway
from control_api.identity.caller import Caller
from control_api.parts import ControlParts
from sessions.agents import AgentSnapshot
from voicegate.kernel.errors import ProviderError, StateUnavailable, VoicegateError
from voicegate.kernel.events import Event
from voicegate.kernel.ids import SessionId, TurnId

_log = structlog.get_logger(__name__)


class Exchange:
    """One reply; :meth:`events` may be used once."""

    def __init__(
        self, parts: ControlParts, caller: Caller, snapshot: AgentSnapshot, begun: Begun, text: str, began_at: datetime
    ) -> None:
        self._parts, self._caller, self._snapshot = parts, caller, snapshot
        self._begun, self._text, self._began_at = begun, text, began_at
        self._kept = False
        self._telling = Telling(
            SessionId(str(begun.conversation_id)),
            TurnId(begun.turn),
            begun.agent or snapshot.name,
            parts.text_agents.provider,
            begun.last_seq,
        )

    async def events(self) -> AsyncGenerator[Event, None]:
        """Events until the reply is over. Closing it stops the agent; what was said until then is kept."""
        telling, clock = self._telling, self._parts.clock
        try:
            for event in telling.begin(clock.utc()):
                yield event
            async with asyncio.timeout(LONGEST_S), aclosing(self._reply()) as told:
                async for event in told:
                    yield event
            last = list(telling.finish(clock.utc()))
            await self._keep("finished")  # before the client may rely on it
        except TimeoutError:
            last = await self._failed("provider_timeout", f"The agent took longer than {LONGEST_S:g} s.", retry=True)
        except ProviderError as error:
            _log.warning("an agent failed in a chat", agent=self._snapshot.id, provider=error.provider)
            last = await self._failed(error.code, "The agent's model did not answer.", retry=error.retryable)
        except (StateUnavailable, DatabaseAway) as error:
            last = await self._failed(error.code, "The answer could not be finished and kept.", retry=True)
        finally:
            await self._keep_quietly("interrupted")
        for event in last:
            yield event

    async def _reply(self) -> AsyncGenerator[Event, None]:
        clock, begun = self._parts.clock, self._begun
        outputs = self._parts.text_agents.reply(
            self._snapshot, begun.history, self._text, session_id=str(begun.conversation_id), agent=begun.agent
        )
        async with aclosing(outputs):
            async for output in outputs:
                for event in self._telling.tell(output, clock.utc(), clock.monotonic()):
                    yield event

    async def _failed(self, code: str, message: str, *, retry: bool) -> list[Event]:
        told = list(self._telling.fail(code, message, self._parts.clock.utc(), retryable=retry))
        await self._keep_quietly("failed")
        return told

    async def _keep_quietly(self, outcome: Outcome) -> None:
        """Once, and as well as can be."""
        if self._kept:
            return
        try:
            await self._keep(outcome)
        except VoicegateError as error:
            _log.warning("a chat's answer was not kept", conversation=str(self._begun.conversation_id), why=error.code)

    async def _keep(self, outcome: Outcome) -> None:
        parts, begun, now = self._parts, self._begun, self._parts.clock.utc()
        async with parts.database.organization(self._caller.organization_id) as session:
            if begun.stored:
                await ChatKeeping(session, self._caller, now).end(begun, self._telling, outcome)
            charged = await settle(parts, session, self._snapshot, begun, self._telling, self._began_at, now)
        self._kept = True
        await parts.bookkeeper.tell(charged)
