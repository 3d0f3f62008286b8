"""What was said, as log lines. The words stand under the key ``pii``, which the logs drop unless VOICEGATE_LOG_PII."""

import structlog

from voicegate.kernel.events import Event, ReplyFinished, ReplyInterrupted, TurnCommitted

_log = structlog.get_logger(__name__)


def log_words(event: Event) -> None:
    """One line for each committed turn of the caller and each closed reply of the agent."""
    match event:
        case TurnCommitted(text=text):
            _log.info("caller said", session_id=event.session_id, turn=event.turn, pii=text)
        case ReplyFinished(text=text) | ReplyInterrupted(heard=text):
            _log.info("agent was heard", session_id=event.session_id, turn=event.turn, pii=text)
        case _:
            pass
