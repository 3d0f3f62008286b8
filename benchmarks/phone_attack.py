"""Carriers that go mad: real transcripts of each protocol, damaged in every way, against a real socket.

What is sent is made from what a simulated carrier sends (:mod:`voicegate.client.carriers`), by a seeded generator:
values of another type, fields gone or doubled, cut and flipped bytes, text as binary and the other way round, messages
left out, doubled and out of order.
"""

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import numpy as np

from voicegate.client.carriers.answers import StreamOrder
from voicegate.client.carriers.leg import Message
from voicegate.client.carriers.legs import open_leg
from voicegate.client.carriers.target import PhoneTarget, PhoneVia

_TICKS: Final = 8
_LISTEN_S: Final = 0.2
"""How long the answer to a whole script is awaited."""
_CONNECT_S: Final = 10.0
REFUSED: Final = "refused"
_REFUSALS, _PATIENCE_S = 1_000, 0.2
"""A gateway that is full, or whose machine is busy with something else, is asked again so often."""
_ODD: Final[tuple[Any, ...]] = (
    None, True, -1, 0, 2**63, 1e308, "", "\x00", "\u202e", "x" * 5_000, [], {}, [[[]]], "0", ["a"] * 300, {"a": {}},
)  # fmt: skip
_ATTRIBUTES: Final = {
    "telnyx": {"bidirectionalMode": "rtp", "bidirectionalCodec": "PCMU"},
    "plivo": {"bidirectional": "true", "contentType": "audio/x-mulaw;rate=8000"},
    "vonage": {"content-type": "audio/l16;rate=8000"},
}
"""What the gateway's answer would say of the stream."""


@dataclass(slots=True)
class Attack:
    """What was sent, and how the connections ended."""

    messages: int = 0
    connections: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    """Close codes of the gateway; ``open`` where it had not closed; ``line`` where a TCP line was closed."""


async def attack(via: PhoneVia, url: str, messages: int, *, seed: int, together: int = 8) -> Attack:
    """Send at least ``messages`` to the gateway at ``url`` (``ws://host:port``, ``tcp://`` for audiosocket), over
    ``together`` connections at a time."""
    done, rng = Attack(), random.Random(seed)
    target = PhoneTarget(via, url)

    async def one() -> None:
        while done.messages < messages:
            script = mad(transcript(target), rng)
            address = f"127.{rng.randrange(1, 255)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
            send = _over_tcp if via == "audiosocket" else _over_websocket
            ending = await send(url, via, script, address)
            done.endings[ending] += 1
            if ending.startswith(REFUSED):
                if done.endings[ending] > _REFUSALS:
                    raise RuntimeError(f"the gateway takes no connections: {ending}")
                await asyncio.sleep(_PATIENCE_S)
                continue
            done.messages += len(script)
            done.connections += 1

    async with asyncio.TaskGroup() as tasks:
        for _ in range(together):
            tasks.create_task(one())
    return done


def transcript(target: PhoneTarget) -> list[Message]:
    """What this carrier sends in the first moments of a new call, keys and hang-up included."""
    attributes = _ATTRIBUTES.get(target.via)
    order = StreamOrder(target.url, {}, attributes) if attributes else None
    leg = open_leg(target, target.facts(), order)
    frame = np.zeros(leg.rate_hz // 50, np.int16)
    messages = leg.begin()
    for _ in range(_TICKS):
        messages += leg.tick(frame).messages or [b""]
    # Genesys sends audio once it is answered: here it is sent in any case.
    messages += [bytes(leg.rate_hz // 50)] if not any(isinstance(each, bytes) for each in messages) else []
    return [*messages, *leg.press("5"), *leg.press("#"), *leg.hang_up()]


def mad(messages: Sequence[Message], rng: random.Random) -> list[Message]:
    """The same, damaged: now and then in one place only, mostly in many."""
    share = rng.choice((0.05, 0.2, 0.6))
    script = [damaged(message, rng) if rng.random() < share else message for message in messages]
    if rng.random() < 0.5:
        for _ in range(rng.randrange(1, 4)):
            first, second = rng.randrange(len(script)), rng.randrange(len(script))
            match rng.randrange(3):
                case 0:
                    script[first], script[second] = script[second], script[first]
                case 1:
                    script.insert(first, script[second])
                case _ if len(script) > 2:
                    del script[first]
    return script


def damaged(message: Message, rng: random.Random) -> Message:
    """One message, changed."""
    if isinstance(message, str):
        return rng.choice(_TEXT_DAMAGES)(message, rng)
    return rng.choice(_BINARY_DAMAGES)(message, rng)


def _other_value(text: str, rng: random.Random) -> Message:
    try:
        value = json.loads(text)
    except ValueError:
        words = text.split(" ")
        words[rng.randrange(len(words))] = str(rng.choice(_ODD))[:100]
        return " ".join(words)
    _change(value, rng)
    return json.dumps(value)


def _change(value: Any, rng: random.Random) -> None:
    """Change a value somewhere inside."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not keys:
        return
    key = rng.choice(keys)
    if isinstance(value[key], dict | list) and rng.random() < 0.7:
        _change(value[key], rng)
    elif rng.random() < 0.25:
        del value[key]
    else:
        value[key] = rng.choice(_ODD)


def _flip(data: bytes, rng: random.Random) -> bytes:
    flipped = bytearray(data or b"\0")
    for _ in range(rng.randrange(1, 5)):
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


_TEXT_DAMAGES: Final[tuple[Callable[[str, random.Random], Message], ...]] = (
    _other_value,
    _other_value,
    _other_value,
    lambda text, rng: text[: rng.randrange(len(text) + 1)],
    lambda text, rng: text * rng.randrange(2, 4),
    lambda text, rng: _flip(text.encode(), rng).decode(errors="replace"),
    lambda text, rng: text.encode(),
    lambda text, rng: "[" * rng.randrange(1, 20_000),
    lambda text, rng: text + "x" * rng.randrange(200_000),
)
_BINARY_DAMAGES: Final[tuple[Callable[[bytes, random.Random], Message], ...]] = (
    _flip,
    lambda data, rng: data[: rng.randrange(len(data) + 1)],
    lambda data, rng: rng.randbytes(rng.randrange(2_000)),
    lambda data, rng: data * rng.randrange(2, 60),
    lambda data, rng: data.hex(),
    lambda data, rng: rng.randbytes(rng.randrange(100_000)),
)


async def _over_websocket(url: str, via: PhoneVia, script: Sequence[Message], address: str) -> str:
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    async with aiohttp.ClientSession(connector=connector) as http:
        try:
            async with asyncio.timeout(_CONNECT_S), http.ws_connect(f"{url}/phone/{via}", max_msg_size=0) as socket:
                with contextlib.suppress(ConnectionError):
                    for message in script:
                        await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))
                return await _ending(socket)
        except aiohttp.WSServerHandshakeError as refusal:
            return f"{REFUSED} {refusal.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__


async def _ending(socket: aiohttp.ClientWebSocketResponse) -> str:
    """The close that comes, or that none does."""
    try:
        async with asyncio.timeout(_LISTEN_S):
            async for _ in socket:
                pass
    except TimeoutError:
        return "open"
    return str(socket.close_code)


async def _over_tcp(url: str, via: PhoneVia, script: Sequence[Message], address: str) -> str:
    place = urlsplit(url)
    try:
        reader, writer = await asyncio.open_connection(place.hostname, place.port, local_addr=(address, 0))
    except OSError as error:
        return type(error).__name__
    try:
        async with asyncio.timeout(_CONNECT_S):
            for message in script:
                writer.write(message.encode() if isinstance(message, str) else message)
                await writer.drain()
        async with asyncio.timeout(_LISTEN_S):
            while await reader.read(4096):
                pass
        return "line"
    except TimeoutError:
        return "open"
    except ConnectionError:
        return "line"
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
