"""Endpointing: how long to wait after the last voiced sample before the turn is over. PURE.

A finished sentence commits early, an unfinished one waits. Two witnesses: the words themselves (a turn does not end in
"and" or "could you tell me") and, where the engine gives it, the probability that the sentence ends here. Both must
agree for an early end. The word lists are English; words of other languages are on none of them and leave the decision
to punctuation and probability.
"""

import re
from dataclasses import dataclass
from typing import Final

from pipeline.ports import Transcription


@dataclass(frozen=True, slots=True)
class EndpointingConfig:
    """Silence in seconds, counted from the last voiced sample."""

    finished_s: float = 0.26
    """After a sentence that is surely complete."""
    unsure_s: float = 0.8
    """After words that may or may not be complete."""
    unfinished_s: float = 1.2
    """After words that surely go on."""
    sure_probability: float = 0.97
    """End probability from which a sentence is surely complete."""
    unsure_probability: float = 0.8
    """... at which it may or may not be; the wait grows evenly on both sides of it ..."""
    doubtful_probability: float = 0.5
    """... and below which it surely goes on."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OPEN: Final = _words(
    """
    a an the and or but because if while than whose as of into between without my your our their its plus very just
    i'm i'd i'll i've we're we'd we'll we've you're you'd you'll they're he's she's it's that's there's what's let's
    um uh uhm er erm hmm mr mrs ms dr i we he she they
    """
)
"""Another word follows these."""

_STRANDED: Final = _words("to for with from in on at by about near be been being")
"""Another word follows these, but perhaps not in a question ("where are you from")."""

_AUXILIARY: Final = _words(
    "is are am was were do does did have has had will would can could shall should may might must"
)
"""After a pronoun these may be all ("yes, I do"), or in a question; else another word follows."""

_TRANSITIVE: Final = _words(
    """
    book tell give show send bring put get find buy sell want need like know meant called said hear make take ask speak
    sounds means wants needs
    """
)
"""Verbs that want an object, or more, unless the question word before them is it ("what do I need")."""

_GIVING: Final = _words("tell give show send bring let put")
"""With "me" they still want something ("could you tell me")."""

_AMBIGUOUS: Final = _words(
    """
    that this these those so like not really also her his you who which when where why how what any some more other
    another second first third next last nearest same many about
    """
)
"""These end a sentence as often as they stand in its middle."""

_DIGITS: Final = _words("one two three four five six seven eight nine oh zero double")

_PERSON: Final = _words("i you we they he she it who")
_PRONOUN: Final = _PERSON | _words("there that this these those")
_QUESTION: Final = _words("what where who when how which why what's where's who's how's")
_OPENERS: Final = _AUXILIARY | _QUESTION | _PRONOUN | _words("my i'm i'd we're please but and could")
"""One or two words that begin so are hardly all ("could you", "my name", "what time")."""
_WHOLE: Final = frozenset(
    """
    i do,i am,i did,i will,i can,i see,i know,i understand,i agree,we do,we are,it is,it does,that one,this one,he is
    she is,they are,how much,how many,how come,what else,who else,why not,what now,how so,what's that,who's that
    where's that,what,why,when,where,who,how,which,that,this,please
    """.strip()
    .replace("\n    ", ",")
    .split(",")
)
"""... but these are."""

_OPEN_END: Final = re.compile(r"(?:[,;:–—-]|\.\.\.|…)$")
_WORD: Final = re.compile(r"[\w']+")


def delay_s(transcription: Transcription, config: EndpointingConfig) -> float:
    """Seconds of silence after which a turn with this text is over."""
    text = transcription.text.strip().lower().replace("’", "'")
    words = _WORD.findall(text)
    return max(_by_words(text, words, config), _by_probability(text, transcription.end_probability, config))


def _by_words(text: str, words: list[str], config: EndpointingConfig) -> float:
    if _OPEN_END.search(text) or _goes_on(words):
        return config.unfinished_s
    return config.unsure_s if _may_go_on(words) else config.finished_s


def _by_probability(text: str, probability: float | None, config: EndpointingConfig) -> float:
    if probability is None:
        return config.finished_s if text.endswith((".", "?", "!")) else config.unsure_s
    sure, unsure, doubtful = config.sure_probability, config.unsure_probability, config.doubtful_probability
    if probability >= unsure:
        share = max(0.0, (sure - probability) / (sure - unsure))
        return config.finished_s + share * (config.unsure_s - config.finished_s)
    share = min(1.0, (unsure - probability) / (unsure - doubtful))
    return config.unsure_s + share * (config.unfinished_s - config.unsure_s)


def _goes_on(words: list[str]) -> bool:
    """The last word needs another one after it."""
    if not words:
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in _OPEN or (last == "me" and before in _GIVING):
        return True
    if len(words) <= 2 and words[0] in _OPENERS and " ".join(words) not in _WHOLE:
        return True
    if not _QUESTION.isdisjoint(words[:3]):
        return last == "you" and before in _AUXILIARY and before not in ("are", "were")
    if last in _AUXILIARY:
        return before not in _PRONOUN and (len(words) < 3 or words[-3] not in _PERSON)
    if last in _STRANDED:
        return _QUESTION.isdisjoint(words)  # but whole: "tell me what you can help me with"
    return last in _TRANSITIVE and not _denied(before)


def _denied(word: str) -> bool:
    """A denial may be all ("I don't know", "I can't hear")."""
    return word.endswith("n't") or word in ("not", "cannot", "never")


def _may_go_on(words: list[str]) -> bool:
    """The last word may well have another one after it."""
    last, before = words[-1] if words else "", words[-2] if len(words) > 1 else ""
    dictating = all(word in _DIGITS or word.isdecimal() for word in words[-3:]) and len(words) >= 3
    denied = last in _TRANSITIVE and _denied(before)
    asking = not _QUESTION.isdisjoint(words[:3]) and (last in _AUXILIARY or last in _STRANDED)
    return dictating or denied or asking or last in _AMBIGUOUS
