"""The caller's frames."""

import numpy as np
import pytest

from voicegate.client.microphone import Microphone, Utterance


def test_silence_without_end_before_and_after_a_clip() -> None:
    microphone = Microphone(8000)
    assert not microphone.next_frame()[0].any()
    utterance = microphone.say(np.arange(1, 201, dtype=np.int16))
    first, owner = microphone.next_frame()
    second, _ = microphone.next_frame()
    assert owner is utterance
    assert np.concatenate([first, second]).tolist() == [*range(1, 201)] + [0] * 120
    frame, nobody = microphone.next_frame()
    assert nobody is None
    assert frame.shape == (160,)
    assert not frame.any()


def test_clips_follow_each_other() -> None:
    microphone = Microphone(16_000)
    one, two = microphone.say(np.ones(320, np.int16)), microphone.say(np.ones(320, np.int16))
    assert [microphone.next_frame()[1] is each for each in (one, two)] == [True, True]


def test_an_utterance_is_spoken_when_its_last_frame_left() -> None:
    utterance = Utterance(np.ones(500, np.int16), frames_left=2)
    assert not utterance.spoken
    with pytest.raises(ValueError, match="not begun"):
        _ = utterance.end
    spoken = Utterance(np.ones(500, np.int16), start=1000)
    assert spoken.spoken
    assert spoken.end == 1500
