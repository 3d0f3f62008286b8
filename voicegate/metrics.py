"""What the events of all calls say in numbers. Instruments are bound once; an event costs one lookup by its type."""

from collections.abc import Callable

from voicegate.kernel.events import (
    Event,
    Failure,
    Latency,
    ReplyInterrupted,
    SessionEnded,
    SessionStarted,
    ToolFinished,
    TurnCommitted,
)
from voicegate.kernel.telemetry import Telemetry


def event_metrics(telemetry: Telemetry) -> Callable[[Event], None]:
    """A listener that counts."""
    counters = {
        SessionStarted: telemetry.counter("voicegate_sessions_total", "Calls begun or resumed."),
        SessionEnded: telemetry.counter("voicegate_sessions_ended_total", "Calls ended."),
        TurnCommitted: telemetry.counter("voicegate_turns_total", "Turns of callers."),
        ReplyInterrupted: telemetry.counter("voicegate_replies_interrupted_total", "Replies cut short."),
        ToolFinished: telemetry.counter("voicegate_tools_total", "Tool calls."),
        Failure: telemetry.counter("voicegate_failures_total", "Failures of providers and of ours."),
    }
    stages = {
        field: telemetry.histogram(
            "voicegate_latency_seconds",
            "Voice-to-voice time and its parts, by stage.",
            stage=field.removesuffix("_ms"),
        )
        for field in ("voice_to_voice_ms", "endpointing_ms", "stt_ms", "agent_ms", "tts_ms", "playout_ms")
    }

    def observe(event: Event) -> None:
        counter = counters.get(type(event))
        if counter is not None:
            counter.inc()
        elif isinstance(event, Latency):
            for field, histogram in stages.items():
                histogram.observe(getattr(event, field) / 1000)

    return observe
