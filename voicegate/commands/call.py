"""``voicegate call``: places a call with recorded voices, and shows what was said and how quickly it was answered.

Exit codes: 0 every file got a spoken reply, 1 one did not, 2 a file is no audio, 3 the gateway cannot be reached or
refused the call or broke it.
"""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from voicegate.client.call import CallClient
from voicegate.client.carriers.target import PHONES, PhoneTarget
from voicegate.client.clips import read_clip
from voicegate.client.connection import CallTarget
from voicegate.client.formats import FORMATS
from voicegate.client.record import Line
from voicegate.client.voiced import answer_s, voiced_span
from voicegate.commands.call_end import finish, told
from voicegate.commands.call_report import STAGES, latency_table, transcript_table
from voicegate.commands.phone_call import call_by_phone
from voicegate.kernel.audio import Samples
from voicegate.kernel.ids import SessionId, new_session_id


class Via(StrEnum):
    WS = "ws"
    SIMPLE = "simple"
    WEBRTC = "webrtc"
    TWILIO = "twilio"
    TELNYX = "telnyx"
    PLIVO = "plivo"
    VONAGE = "vonage"
    EXOTEL = "exotel"
    GENESYS = "genesys"
    JAMBONZ = "jambonz"
    FREESWITCH = "freeswitch"
    ASTERISK = "asterisk"
    AUDIOSOCKET = "audiosocket"


class Encoding(StrEnum):
    PCM16 = "pcm16"
    PCMU = "pcmu"
    PCMA = "pcma"
    OPUS = "opus"


@dataclass(frozen=True, slots=True)
class Answered:
    """One file and what came back."""

    file: str
    voice_to_voice_ms: float | None
    """From the file's last voiced sample to the agent's first one on the tape; None without a spoken reply."""
    gateway_ms: dict[str, float] | None
    """What the gateway measured, stage by stage; None where it tells nothing (simple profile)."""


@dataclass(frozen=True, slots=True)
class CallReport:
    """A whole call."""

    session_id: str
    files: list[Answered]
    transcript: list[Line]
    glitches: int
    """Times the agent's audio came too late to be played in one piece."""
    latest_frame_ms: float
    """How late our own latest frame was sent: large values mean this machine is too busy to measure."""


def call(
    files: Annotated[list[Path], typer.Argument(help="WAV files to say, one after the other.")],
    via: Annotated[
        Via, typer.Option(help="How to call: the full WebSocket profile, the simple one, WebRTC, or as a carrier.")
    ] = Via.WS,
    encoding: Annotated[Encoding, typer.Option(help="Audio on the wire, in the full profile.")] = Encoding.PCM16,
    url: Annotated[str, typer.Option(help="The gateway.")] = "ws://127.0.0.1:8000",
    out: Annotated[Path | None, typer.Option(help="Save both sides as a stereo WAV: caller left, agent right.")] = None,
    token: Annotated[str, typer.Option(help="Call token or API key.")] = "",
    agent: Annotated[str, typer.Option(help="Agent to talk to; the default one if empty.")] = "",
    session: Annotated[str, typer.Option(help="Session id, where the token is good for one only.")] = "",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write everything that was measured.")] = None,
    jitter_ms: Annotated[float, typer.Option(min=0, help="Jitter buffer of the imagined loudspeaker.")] = 40.0,
    secret: Annotated[str, typer.Option(help="Phones: what the carrier signs with, or user:password.")] = "",
    key: Annotated[str, typer.Option(help="Phones: API key (genesys), or the token in the address.")] = "",
    public_url: Annotated[str, typer.Option(help="Phones: the gateway's address as the carrier knows it.")] = "",
    audio: Annotated[str, typer.Option("--format", help="Phones: audio on the wire, where the carrier chooses.")] = "",
    caller: Annotated[str, typer.Option("--from", help="Phones: the caller's number.")] = "+15550000001",
    called: Annotated[str, typer.Option("--to", help="Phones: the number that is called.")] = "+15550000002",
    call_id: Annotated[str, typer.Option(help="Phones: the call's id; audiosocket: the expected UUID.")] = "",
    keys: Annotated[str, typer.Option(help="Phones: keys to press at the end.")] = "",
    tcp_port: Annotated[int, typer.Option(help="Phones: where AudioSocket listens.")] = 9092,
    network_ms: Annotated[
        float, typer.Option(min=0, help="Phones: from carrier to gateway, and the same back.")
    ] = 20.0,
) -> None:
    """Call an agent with recorded voices; print the conversation and its latency."""
    if via.value in PHONES:
        phone = PhoneTarget(
            via.value,
            url,
            public_url=public_url,
            secret=secret,
            key=key,
            caller=caller,
            called=called,
            format=audio,
            network_ms=network_ms,
            call_id=call_id,
            tcp_port=tcp_port,
        )
        call_by_phone(phone, files, out, json_file, keys)
        return
    errors = Console(stderr=True)
    target = CallTarget(
        SessionId(session) if session else new_session_id(),
        url=url,
        via="simple" if via is Via.SIMPLE else "webrtc" if via is Via.WEBRTC else "ws",
        encoding=encoding.value,
        token=token,
        agent=agent,
        jitter_ms=jitter_ms,
    )
    with told(errors):
        rate_hz = FORMATS[encoding.value if via is Via.WS else "pcm16"].tape_rate_hz
        clips = [(path.name, read_clip(path, rate_hz)) for path in files]
        report = asyncio.run(hold_call(target, clips, out))
    _show(report, out)
    finish(report, report.files, json_file, errors)


async def hold_call(target: CallTarget, clips: list[tuple[str, Samples]], out: Path | None = None) -> CallReport:
    """Say each clip (its name, and mono int16 at the encoding's tape rate) when the agent has finished speaking.

    Raises:
        CallFailed: the call could not be made, or broke; ``out`` holds what was recorded until then.
    """
    async with CallClient(target) as client:
        try:
            await client.greeting_over()
            answers = [await _exchange(client, name, samples) for name, samples in clips]
            await client.hang_up()
        finally:
            if out is not None:
                out.write_bytes(client.tape.wav())  # noqa: ASYNC240 - the call is over
        return CallReport(
            session_id=target.session_id,
            files=answers,
            transcript=client.record.transcript(),
            # Clips of the simple profile come with pauses in between on purpose.
            glitches=client.tape.glitches if target.via != "simple" else 0,
            latest_frame_ms=round(max(client.lateness_s, default=0.0) * 1000, 1),
        )


async def _exchange(client: CallClient, name: str, samples: Samples) -> Answered:
    mark = client.record.mark
    utterance = await client.speak(samples)
    await client.reply_over(utterance)
    span = voiced_span(samples, client.rate_hz)
    last_voiced = utterance.end if span is None else utterance.end - samples.size + span[1]
    answered_s = answer_s(client.tape.agent(), last_voiced, client.rate_hz)
    latencies = client.record.latencies(mark)
    stages = {stage: getattr(latencies[-1], stage) for stage in STAGES} if latencies else None
    return Answered(name, None if answered_s is None else round(answered_s * 1000, 1), stages)


def _show(report: CallReport, out: Path | None) -> None:
    console = Console()
    if report.transcript:
        console.print(transcript_table(report.transcript))
    console.print(latency_table([(each.file, each.voice_to_voice_ms, each.gateway_ms) for each in report.files]))
    if report.glitches:
        console.print(f"The agent's audio was interrupted {report.glitches} times: it came too late.")
    if out is not None:
        console.print(f"Both sides are in {out}.")
