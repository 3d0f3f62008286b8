"""A conversation's history as the agent gets it: what was said, and of the replies what was heard. PURE."""

from collections.abc import Sequence

from pipeline.ports import Message

_KEPT_MESSAGES = 200
"""Older messages are forgotten; at four messages a minute that is most of an hour."""


class History:
    """Grows with committed turns and closed replies; nothing unheard ever enters it."""

    def __init__(self, messages: Sequence[Message] = ()) -> None:
        self._messages = list(messages)
        self._forget()

    @property
    def messages(self) -> tuple[Message, ...]:
        """Oldest first."""
        return tuple(self._messages)

    def user(self, text: str) -> None:
        """The caller's committed turn."""
        self._add(Message("user", text))

    def reply(self, heard: str, *, agent: str, interrupted: bool) -> None:
        """A closed reply, as far as it was heard. A reply of which nothing was heard was never given."""
        if heard:
            self._add(Message("assistant", heard, agent=agent, interrupted=interrupted))

    def tool(self, call_id: str, name: str, arguments: str, result: str) -> None:
        """A tool's call and result, as one step: the agent never sees one without the other."""
        self._add(Message("tool_call", arguments, name=name, call_id=call_id))
        self._add(Message("tool_result", result, name=name, call_id=call_id))

    def _add(self, message: Message) -> None:
        self._messages.append(message)
        self._forget()

    def _forget(self) -> None:
        if len(self._messages) > _KEPT_MESSAGES:
            del self._messages[:-_KEPT_MESSAGES]
            while self._messages and self._messages[0].role == "tool_result":
                del self._messages[0]
