"""Asterisk ``chan_websocket``, Asterisk as the client. PURE. Source: Asterisk documentation, WebSocket channel driver.

Media is binary in the channel's format, control is text: JSON (``f(json)``) or the older plain text. The driver paces
frames out of a queue of 1000; above 900 it says XOFF and drops what comes, below 800 XON. Outside of buffering mode a
tail that fills no frame is dropped. ``FLUSH_MEDIA`` empties the queue, marks and pending notifications with it. A
message above 65500 bytes ends the call; control text above 128 bytes is dropped without a word.
"""

from collections import Counter
from typing import Literal

import numpy as np

from voicegate.client.carriers.leg import CallFacts, Codec, Message, Tick, codec, from_json, to_json
from voicegate.client.carriers.playout import PlayoutModel, messages_ms
from voicegate.kernel.audio import FRAME_MS, Frame

QUEUE_FRAMES, XOFF_FRAMES, XON_FRAMES = 1_000, 900, 800
MOST_BYTES, MOST_CONTROL_BYTES = 65_500, 128
_FORMATS = {"ulaw": "pcmu", "alaw": "pcma", "slin": "pcm16"}
_BULK, _MARK = "bulk:", "mark:"


def _codec(form: str) -> Codec:
    name = form.rstrip("0123456789")
    rate_hz = int(form.removeprefix(name) or 8) * 1_000
    return codec(_FORMATS[name], rate_hz)


class AsteriskLeg:
    """One channel. ``form`` is ``ulaw``, ``alaw``, ``slin`` or ``slin16``."""

    def __init__(self, facts: CallFacts, *, form: str = "ulaw", control: Literal["json", "plain"] = "json") -> None:
        self._codec = _codec(form)
        self.rate_hz = self._codec.rate_hz
        self.over = ""
        self.dropped: Counter[str] = Counter()
        self.playout = PlayoutModel(self.rate_hz, limit_ms=messages_ms(QUEUE_FRAMES))
        self.answered = True
        self._facts = facts
        self._form = form
        self._control = control
        self._bulk = self._full = self._report_drained = False
        self._direction = "both"
        self._rest = b""

    def begin(self) -> list[Message]:
        facts = self._facts
        start: dict[str, object] = {
            "connection_id": facts.stream_id,
            "channel": f"WebSocket/gateway-{facts.call_id}",
            "channel_id": facts.call_id,
            "format": self._form,
            "optimal_frame_size": self._codec.frame_bytes,
            "ptime": FRAME_MS,
        }
        if self._control == "json":
            known = {"CALLERID(num)": facts.caller, "EXTEN": facts.called}
            start["channel_variables"] = known | dict(facts.parameters)
        return [self._event("MEDIA_START", **start)]

    def tick(self, frame: Frame) -> Tick:
        played = self.playout.take()
        messages: list[Message] = [self._due(name) for name in played.marks]
        if self._full and self._queued < XON_FRAMES and not self.playout.paused and self._direction != "in":
            self._full = False
            messages.append(self._event("MEDIA_XON", channel_id=self._facts.call_id))
        if self._report_drained and not self._queued:
            self._report_drained = False
            messages.append(self._event("QUEUE_DRAINED", channel_id=self._facts.call_id))
        if self._direction != "out":
            messages.append(self._codec.encode(frame))
        return Tick(played.frame, messages)

    def _due(self, name: str) -> Message:
        kind, _, correlation = name.partition(":")
        event = "MEDIA_MARK_PROCESSED" if f"{kind}:" == _MARK else "MEDIA_BUFFERING_COMPLETED"
        return self._event(event, channel_id=self._facts.call_id, **_correlated(correlation))

    @property
    def _queued(self) -> int:
        return -(-self.playout.buffered_samples * 50 // self.rate_hz)

    def receive(self, message: Message) -> list[Message]:
        if len(message) > MOST_BYTES:
            self.over = f"the gateway sent a message above {MOST_BYTES} bytes"
            return []
        if isinstance(message, bytes):
            return self._media(message)
        if len(message.encode()) > MOST_CONTROL_BYTES:
            self.dropped[f"control text above {MOST_CONTROL_BYTES} bytes"] += 1
            return []
        name, _, argument = message.partition(" ")
        if self._control == "json":
            fields = from_json(message) or {}
            name = str(fields.get("command"))
            argument = str(fields.get("correlation_id") or fields.get("direction") or "")
        return self._command(name, argument)

    def _command(self, name: str, argument: str) -> list[Message]:
        if self._direction == "in" and name in _MEDIA_COMMANDS:
            return [self._event("ERROR", channel_id=self._facts.call_id, error_text=f"{name} with direction in")]
        match name:
            case "ANSWER":
                self.answered = True
            case "HANGUP":
                self.over = "the gateway hung up"
            case "REPORT_QUEUE_DRAINED":
                self._report_drained = True
            case "GET_STATUS":
                return [self._status()]
            case "SET_MEDIA_DIRECTION" if argument in ("in", "out", "both"):
                self._direction = argument
            case _ if not self._queue_command(name, argument):
                self.dropped["command not understood"] += 1
                return [self._event("ERROR", channel_id=self._facts.call_id, error_text=f"unknown command {name}")]
        return []

    def _queue_command(self, name: str, argument: str) -> bool:
        """What touches the queue; False if the command is none of these."""
        match name:
            case "START_MEDIA_BUFFERING":
                self._bulk = True
            case "STOP_MEDIA_BUFFERING":
                self._stop_bulk(argument)
            case "FLUSH_MEDIA":
                self.playout.clear()
                self.playout.paused = self._bulk = False
                self._rest = b""
            case "PAUSE_MEDIA":
                self.playout.paused = True
            case "CONTINUE_MEDIA":
                self.playout.paused = False
            case "MARK_MEDIA":
                self.playout.mark(_MARK + argument)
            case _:
                return False
        return True

    def _stop_bulk(self, correlation: str) -> None:
        if self._rest:
            self.playout.put(self._codec.decode(self._rest))
            missing = -self.playout.buffered_samples % (self.rate_hz // 50)
            self.playout.put(np.zeros(missing, np.int16))
        self._bulk, self._rest = False, b""
        self.playout.mark(_BULK + correlation)

    def _media(self, data: bytes) -> list[Message]:
        if self._direction == "in" or self._full:
            self.dropped["media after XOFF" if self._full else "media with direction in"] += 1
            return []
        data = self._rest + data
        whole = len(data) // self._codec.frame_bytes * self._codec.frame_bytes
        self._rest = data[whole:] if self._bulk else b""
        if len(data) > whole and not self._bulk:
            self.dropped["tail that fills no frame"] += 1
        if self.playout.put(self._codec.decode(data[:whole])):
            self.dropped[f"more than {QUEUE_FRAMES} frames queued"] += 1
        if self._queued <= XOFF_FRAMES:
            return []
        self._full = True
        return [self._event("MEDIA_XOFF", channel_id=self._facts.call_id)]

    def _status(self) -> Message:
        return self._event(
            "STATUS",
            channel_id=self._facts.call_id,
            queue_length=self._queued,
            xon_level=XON_FRAMES,
            xoff_level=XOFF_FRAMES,
            queue_full=self._full,
            bulk_media=self._bulk,
            media_paused=self.playout.paused,
        )

    def press(self, digit: str) -> list[Message]:
        return [self._event("DTMF_END", channel_id=self._facts.call_id, digit=digit)]

    def hang_up(self) -> list[Message]:
        self.over = "the caller hung up"
        return []

    def _event(self, event: str, **fields: object) -> str:
        if self._control == "json":
            return to_json(event=event, **fields)
        if event in _BARE_PLAIN:
            fields = {name: value for name, value in fields.items() if name != "channel_id"}
        if event in _LISTED_PLAIN:
            return " ".join([event, *(str(value) for name, value in fields.items() if name == "correlation_id")])
        return " ".join([event, *(f"{name}:{value}" for name, value in fields.items())])


_MEDIA_COMMANDS = ("START_MEDIA_BUFFERING", "STOP_MEDIA_BUFFERING", "MARK_MEDIA", "PAUSE_MEDIA", "CONTINUE_MEDIA")
_BARE_PLAIN = ("MEDIA_XOFF", "MEDIA_XON", "QUEUE_DRAINED", "MEDIA_MARK_PROCESSED")
"""Events that have no channel id in plain text."""
_LISTED_PLAIN = ("MEDIA_BUFFERING_COMPLETED", "MEDIA_MARK_PROCESSED")
"""Events whose correlation id stands bare in plain text."""


def _correlated(correlation: str) -> dict[str, str]:
    return {"correlation_id": correlation} if correlation else {}
