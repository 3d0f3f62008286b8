"""Both transports are compared utterance by utterance."""

from benchmarks.exchanges import Exchange
from benchmarks.webrtc_latency import difference_ms


def answered(after_ms: float | None, *, cut: bool = False) -> Exchange:
    return Exchange("clip", True, 0.0, "words", 1, cut, False, after_ms, None, None)


def test_the_difference_is_the_median_over_what_both_answered_uncut() -> None:
    webrtc = [answered(410), answered(700), answered(None), answered(5_000, cut=True), answered(520)]
    websocket = [answered(400), answered(600), answered(300), answered(400), answered(500)]
    assert difference_ms({"webrtc": webrtc, "websocket": websocket}) == 20


def test_there_is_none_without_a_pair() -> None:
    assert difference_ms({"webrtc": [answered(None)], "websocket": [answered(400)]}) is None
