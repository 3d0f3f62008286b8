"""Things callers refer to, by name as a recogniser writes it, or by their place in what was offered. Pure."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from pipeline.adapters.local.numbers import ORDINALS, numbers
from pipeline.adapters.local.persona import Entity
from pipeline.adapters.local.words import alike, sound, stem, tokens


def unnamed(words: tuple[str, ...], kinds: Iterable[Sequence[Entity]]) -> tuple[str, ...]:
    """``words`` without names of entities: "Meadow View" says nothing about viewing."""
    for entities in kinds:
        for entity in entities:
            for parts in (tokens(name) for name in (entity.name, *entity.aliases)):
                for at in range(len(words) - len(parts) + 1 if len(parts) > 1 else 0):
                    if all(_same(a, b) > 0.85 for a, b in zip(parts, words[at : at + len(parts)], strict=True)):
                        words = words[:at] + words[at + len(parts) :]
                        break
    return words


def position(words: tuple[str, ...], awaited: bool) -> int | None:
    text = " ".join(words)
    if "most expensive" in text or ("last" in words and ("one" in words or awaited)):
        return -1
    if "cheapest" in words:
        return 0
    for word in words:
        if (
            word in ORDINALS
            and ORDINALS[word] < 6
            and ("one" in words or awaited or "option" in words or len(words) < 4)
        ):
            return ORDINALS[word] - 1
    if awaited and len(words) <= 3 and (found := numbers(words)) and 1 <= found[0].value <= 5:
        return int(found[0].value) - 1
    return None


@lru_cache(maxsize=4096)
def named(words: tuple[str, ...], entities: tuple[Entity, ...]) -> str | None:
    """The entity whose name or alias sounds most like some run of words; the whole name beats a part of it."""
    best, best_score = None, 0.79
    for entity in entities:
        for alias in (entity.name, *entity.aliases):
            parts = tokens(alias)
            if len(parts) == 1 and parts[0] not in words:
                continue  # one short word is too little to guess at
            for at in range(len(words) - len(parts) + 1):
                heard = words[at : at + len(parts)]
                score = min(_same(a, b) for a, b in zip(parts, heard, strict=True)) + 0.01 * len(parts)
                if score > best_score:
                    best, best_score = entity.name, score
            if len(parts) > 1:
                joined = "".join(parts)
                near = (word for word in words if len(word) > 5 and abs(len(word) - len(joined)) < 3)
                score = max((alike(joined, word) for word in near), default=0.0)
                if score > max(best_score, 0.88):
                    best, best_score = entity.name, score
    return best


@lru_cache(maxsize=32768)
def _same(known: str, heard: str) -> float:
    if known == heard or stem(known) == stem(heard):
        return 1.0
    if abs(len(known) - len(heard)) > 3 or len(set(known) & set(heard)) * 2 < len(set(known)):
        return 0.0
    score = alike(known, heard)
    return score + 0.25 if len(known) > 3 and sound(known) == sound(heard) and known[0] == heard[0] else score
