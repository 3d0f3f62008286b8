"""Keys that are pressed one soon after the other are one entry."""

import asyncio

from pipeline.keypad import Keypad


async def test_an_entry_ends_with_the_hash_key() -> None:
    entries: list[str] = []
    keypad = Keypad(entries.append)
    for key in "42#":
        keypad.press(key)
    assert keypad.pending
    await asyncio.sleep(0.01)
    assert (entries, keypad.pending) == (["42#"], False)


async def test_what_is_forgotten_is_never_entered() -> None:
    entries: list[str] = []
    keypad = Keypad(entries.append)
    keypad.press("4")
    keypad.press("#")
    keypad.forget()
    await asyncio.sleep(0.01)
    assert (entries, keypad.pending) == ([], False)
