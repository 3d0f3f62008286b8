"""Utterances said to a gateway one after the other, each with what its answer's waveform and events tell."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from benchmarks.corpus import Clip
from benchmarks.waveform import longest_pause_ms, talked_over, voice_on_tape, voice_to_voice_ms
from voicegate.client.call import CallClient
from voicegate.client.connection import CallFailed, CallTarget, GatewayUnreachable
from voicegate.client.microphone import Utterance
from voicegate.kernel.events import TurnCommitted
from voicegate.kernel.ids import new_session_id

STAGES = ("endpointing_ms", "stt_ms", "agent_ms", "tts_ms", "playout_ms")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One utterance and its answer."""

    clip: str
    human: bool
    pause_ms: float
    """The longest pause within the utterance, measured on the clip."""
    heard: str
    """What the gateway took it for: all turns that it led to, joined."""
    turns: int
    """Turns it was taken for: 1 is right, 0 is unheard, more is cut."""
    cut: bool
    """More than one turn, or a turn committed before the last voiced sample was sent."""
    talked_over: bool
    """The agent was heard while the caller still spoke."""
    voice_to_voice_ms: float | None
    """From the waveforms; None without an answer."""
    gateway_ms: float | None
    """The same by the gateway's own measure."""
    stages_ms: dict[str, float] | None
    """Its parts by the gateway's measure."""
    failure: str = ""
    """Why the call broke, if it did."""


async def converse(target: CallTarget, clips: Sequence[Clip]) -> list[Exchange]:
    """Say ``clips`` in a call, each after the answer to the one before; call again where a call breaks.

    Raises:
        GatewayUnreachable: there is nobody to call any more.
    """
    done: list[Exchange] = []
    while len(done) < len(clips):
        try:
            await _one_call(target, clips, done)
        except GatewayUnreachable:
            raise
        except CallFailed as error:
            if len(done) == len(clips):
                break
            done.append(_unanswered(clips[len(done)], str(error)))
    return done


async def _one_call(target: CallTarget, clips: Sequence[Clip], done: list[Exchange]) -> None:
    async with calling(target) as call:
        await call.greeting_over()
        while len(done) < len(clips):
            done.append(await exchange(call, clips[len(done)]))
        await call.hang_up()


@asynccontextmanager
async def calling(target: CallTarget) -> AsyncIterator[CallClient]:
    """A call like ``target`` under a session id of its own."""
    async with CallClient(replace(target, session_id=new_session_id())) as call:
        yield call


async def exchange(call: CallClient, clip: Clip) -> Exchange:
    """Say ``clip`` and measure the answer."""
    mark = call.record.mark
    samples = clip.at(call.rate_hz)
    utterance = await call.speak(samples)
    await call.reply_over(utterance)
    return measured(call, clip, utterance, mark)


def measured(call: CallClient, clip: Clip, utterance: Utterance, mark: int) -> Exchange:
    """What an utterance that is over led to; ``mark`` is the record's mark from before it."""
    rate_hz, samples = call.rate_hz, utterance.samples
    begin = utterance.end - samples.size
    voice, agent = voice_on_tape(samples, 0, rate_hz), call.tape.agent(begin)
    turns = call.record.of(TurnCommitted, mark)
    early = any(position < begin + voice.last for position in call.record.positions(TurnCommitted, mark))
    latencies = call.record.latencies(mark)
    last = latencies[-1] if latencies else None
    return Exchange(
        clip=clip.name,
        human=clip.human,
        pause_ms=longest_pause_ms(samples, rate_hz),
        heard=" ".join(turn.text for turn in turns),
        turns=len(turns),
        cut=len(turns) > 1 or early,
        talked_over=talked_over(agent, voice, rate_hz),
        voice_to_voice_ms=_rounded(voice_to_voice_ms(agent, voice, rate_hz)),
        gateway_ms=last.voice_to_voice_ms if last else None,
        stages_ms={stage: getattr(last, stage) for stage in STAGES} if last else None,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _unanswered(clip: Clip, failure: str) -> Exchange:
    return Exchange(clip.name, clip.human, 0.0, "", 0, False, False, None, None, None, failure)
