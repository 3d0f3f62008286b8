"""The simulated stages as every peer gets them. Imports nothing: it is read in the peers' own environments too."""

from typing import Final

STT_S: Final = 0.100
"""From the end of speech to the text."""
FIRST_TOKEN_S: Final = 0.150
TOKENS: Final = 40
TOKEN_S: Final = 0.020
TTS_FIRST_BYTE_S: Final = 0.075
LETTERS_PER_S: Final = 15
"""Length of the simulated speech: 180 words a minute of five letters."""
ENDPOINTING_S: Final = 0.250
TRANSCRIPT: Final = "Could you tell me your opening hours, please?"
_TEXT: Final = (
    "We are open from nine to six on weekdays only. On Saturdays it is from ten to two. On Sundays and on holidays the "
    "office is closed. You can reach us by phone or come by without an appointment, whenever it suits you best."
)


def tokens() -> list[str]:
    """The answer's deltas: one word each."""
    words = _TEXT.split()
    return [words[number % len(words)] + " " for number in range(TOKENS)]


def speech_s(text: str) -> float:
    """How long ``text`` is spoken."""
    return max(0.1, len(text) / LETTERS_PER_S)


def tone(samples: int) -> bytes:
    """What is heard instead of speech: 16-bit PCM of a loud square wave, so that it costs nothing to make."""
    period = (8000).to_bytes(2, "little", signed=True) * 20 + (-8000).to_bytes(2, "little", signed=True) * 20
    return (period * (samples // 40 + 1))[: samples * 2]
