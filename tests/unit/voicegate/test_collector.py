"""What the collector does once a process takes calls."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from voicegate.collector import keep_what_is_loaded


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds, enabled = gc.get_threshold(), gc.isenabled()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    if enabled:
        gc.enable()
    else:
        gc.disable()


class Ring:
    """Holds itself."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_loaded_is_not_looked_at_again_and_full_collections_are_rare() -> None:
    gc.disable()
    young, middle, full = gc.get_threshold()
    loaded = [Ring() for _ in range(10)]
    keep_what_is_loaded()
    assert gc.get_freeze_count() > len(loaded)
    assert not {id(each) for each in loaded} & {id(each) for each in gc.get_objects()}
    assert gc.get_threshold()[:2] == (young, middle)
    assert gc.get_threshold()[2] > full


def test_rings_are_still_found() -> None:
    gc.disable()
    keep_what_is_loaded()
    gone = weakref.ref(Ring())
    kept = [[] for _ in range(10 * gc.get_threshold()[0])]  # type: ignore[var-annotated]  # enough to be looked at
    assert gone() is None
    assert kept
