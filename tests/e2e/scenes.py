"""Conversations take as long as people talk, so those that do not disturb one another are held at the same time.

A module lists its scenes, plays all of them once, and has one test a scene that tells how it went.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, ParamSpec

_P = ParamSpec("_P")

AT_ONCE = 4
"""Scenes that play at the same time: a gateway that starts loads models, and may halt the others for a moment."""


@dataclass
class Scenes(Generic[_P]):
    """Scenes of one module; all take the same arguments."""

    at_once: int = AT_ONCE
    _scenes: dict[str, Callable[_P, Awaitable[None]]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return list(self._scenes)

    def add(self, scene: Callable[_P, Awaitable[None]]) -> Callable[_P, Awaitable[None]]:
        """Decorator: the function is a scene."""
        self._scenes[scene.__name__] = scene
        return scene

    def play(self, *args: _P.args, **kwargs: _P.kwargs) -> dict[str, BaseException | None]:
        """All scenes, some at a time; what each one raised."""
        return asyncio.run(self.perform(*args, **kwargs))

    async def perform(self, *args: _P.args, **kwargs: _P.kwargs) -> dict[str, BaseException | None]:
        """The same, inside a loop that runs."""
        stage = asyncio.Semaphore(self.at_once)

        async def one(scene: Callable[_P, Awaitable[None]]) -> None:
            async with stage:
                await scene(*args, **kwargs)

        raised = await asyncio.gather(*map(one, self._scenes.values()), return_exceptions=True)
        return dict(zip(self._scenes, raised, strict=True))


def tell(outcome: BaseException | None) -> None:
    """Fail as the scene failed; of a group that is one error, with that error."""
    while isinstance(outcome, BaseExceptionGroup) and len(outcome.exceptions) == 1:
        outcome = outcome.exceptions[0]
    if outcome is not None:
        raise outcome
