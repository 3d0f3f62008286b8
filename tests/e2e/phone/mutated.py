"""Carriers gone mad: real handshakes, then messages that were changed on the way."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import numpy as np

from voicegate.client.carriers.dialling import dial
from voicegate.client.carriers.leg import Message
from voicegate.client.carriers.target import PhoneTarget
from voicegate.client.connection import CallFailed
from voicegate.kernel.clock import SystemClock

_PER_CALL = 25
_ODD: tuple[Any, ...] = (None, True, -1, 10**30, 1e308, "", "x" * 5_000, [], [[]], {}, "\x00", "\ud83d\ude00")


@dataclass
class MadCarrier:
    """Sends ``messages`` mutated messages in as many calls as that takes."""

    target: PhoneTarget
    messages: int
    seed: int
    sent: int = 0
    ends: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        dice = random.Random(f"{self.seed}-{self.target.via}")
        async with aiohttp.ClientSession() as http:
            while self.sent < self.messages:
                try:
                    await self._call(http, dice)
                except CallFailed as refusal:
                    self.ends[str(refusal)[-60:]] += 1
                    await asyncio.sleep(0.5)

    async def _call(self, http: aiohttp.ClientSession, dice: random.Random) -> None:
        stream = await dial(http, self.target, self.target.facts(), SystemClock())
        reader = asyncio.ensure_future(_drain(stream.line))
        try:
            good = stream.leg.begin()
            if dice.random() < 0.7:  # the call begins; then the rest comes
                for message in good:
                    await stream.line.send(message)
            for _ in range(dice.randrange(1, _PER_CALL)):
                if reader.done():
                    break
                good = [*stream.leg.begin(), *stream.leg.tick(_noise(dice, stream.leg.rate_hz)).messages,
                        *stream.leg.press("1")]  # fmt: skip
                await stream.line.send(changed(dice.choice(good), dice))
                self.sent += 1
                await asyncio.sleep(0.005)
            if dice.random() < 0.3:
                stream.line.cut()
        finally:
            await stream.line.close()
            reader.cancel()
        self.ends[stream.line.ended] += 1


async def _drain(line: Any) -> None:
    async for _ in line.messages():
        pass


def _noise(dice: random.Random, rate_hz: int) -> Any:
    return np.random.default_rng(dice.randrange(1 << 30)).integers(-9000, 9000, rate_hz // 50, dtype=np.int16)


def changed(message: Message, dice: random.Random) -> Message:
    """A message that is nearly good."""
    if isinstance(message, bytes):
        return _changed_bytes(message, dice)
    match dice.randrange(6):
        case 0:
            return message[: dice.randrange(len(message) + 1)]
        case 1:
            letters = list(message)
            for _ in range(dice.randrange(1, 6)):
                letters[dice.randrange(len(letters))] = dice.choice('\x00"\\{}[]:,0\u2028\ufffd')
            return "".join(letters)
        case 2:
            return "[" * dice.choice((1, 500, 20_000))
        case 3:
            return _changed_bytes(message.encode(), dice)  # text as binary
        case _:
            return _changed_json(message, dice)


def _changed_json(message: str, dice: random.Random) -> str:
    try:
        fields = json.loads(message)
    except ValueError:
        return message + dice.choice(("", " x", "\n"))
    place = fields
    while isinstance(place, dict) and place:
        key = dice.choice(list(place))
        if isinstance(place[key], dict) and place[key] and dice.random() < 0.7:
            place = place[key]
            continue
        match dice.randrange(3):
            case 0:
                del place[key]
            case 1:
                place[key] = dice.choice(_ODD)
            case _:
                place[key + "x"] = place.pop(key)
        break
    return json.dumps(fields)


def _changed_bytes(data: bytes, dice: random.Random) -> bytes:
    match dice.randrange(5):
        case 0:
            return data[: dice.randrange(len(data) + 1)]
        case 1:
            return dice.randbytes(dice.choice((0, 1, 3, 319, 640, 9_000)))
        case 2:
            return data + dice.randbytes(dice.randrange(40))
        case _:
            found = bytearray(data)
            for _ in range(dice.randrange(1, 5)):
                found[dice.randrange(min(len(found), 40))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF))
            return bytes(found)
