"""What a process remembers of a call that another one held. PURE.

The transcript has both sides' words, of the agent's only those that were heard. The agent's tools and their results are
in the events alone; without them the agent would know that it had named a home, but not which one it had looked up.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from pipeline.history import History
from pipeline.session_config import Memory
from sessions.model import TranscriptEntry
from voicegate.kernel.events import Event, Handoff, Notice, ToolFinished, ToolStarted


def remembered(entries: Sequence[TranscriptEntry], events: Iterable[Event]) -> Memory:
    """The conversation so far, from its settled ``entries`` (by turn, the caller first) and its stored ``events``."""
    events = tuple(events)
    tools, muted = _tools(events), False
    for event in events:
        if isinstance(event, Notice) and event.code in ("muted", "unmuted"):
            muted = event.code == "muted"
    history = History()
    agent, turn, interrupted = "", 0, False
    for entry in entries:
        turn = max(turn, entry.turn)
        if entry.role == "user":
            history.user(entry.text)
            interrupted = True
        else:
            for started, finished in tools.pop(entry.turn, ()):
                history.tool(started.call_id, started.name, started.arguments, finished.result)
            agent = entry.agent or agent
            interrupted = entry.state == "interrupted"
            history.reply(entry.text, agent=agent, interrupted=interrupted)
    return Memory(history.messages, turn + 1, agent, interrupted, muted)


def answering(agent: str, events: Iterable[Event]) -> str:
    """Who answers now a call that began with ``agent``: an id or a name."""
    taken = [event.agent_id for event in events if isinstance(event, Handoff) and event.agent_id]
    return taken[-1] if taken else agent


def _tools(events: Iterable[Event]) -> dict[int | None, list[tuple[ToolStarted, ToolFinished]]]:
    """Calls that got their result, in order, by turn."""
    started: dict[str, ToolStarted] = {}
    done: dict[int | None, list[tuple[ToolStarted, ToolFinished]]] = defaultdict(list)
    for event in events:
        match event:
            case ToolStarted():
                started[event.call_id] = event
            case ToolFinished() if event.call_id in started:
                done[event.turn].append((started.pop(event.call_id), event))
            case _:
                pass
    return done
