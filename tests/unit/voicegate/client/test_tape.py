"""The tape: positions, gapless play, jitter, cuts."""

import io
import wave

import numpy as np

from audiocodecs.wav import decode_wav
from voicegate.client.tape import Tape

RATE = 8000


def _tone(n: int, value: int = 1000) -> np.ndarray:
    return np.full(n, value, np.int16)


def test_a_callers_frame_ends_at_the_moment_of_sending() -> None:
    tape = Tape(RATE, origin=100.0)
    assert tape.put_caller(100.02, _tone(160)) == 0
    assert tape.put_caller(100.04, _tone(160)) == 160


def test_frames_on_an_absolute_clock_join_without_gaps_for_an_hour() -> None:
    tape = Tape(RATE, origin=12345.678)
    starts = [tape.put_caller(12345.678 + n * 0.02, _tone(160)) for n in (1, 2, 3, 180_000)]
    assert starts == [0, 160, 320, 179_999 * 160]


def test_agent_audio_begins_after_the_jitter_buffer_and_then_follows_gaplessly() -> None:
    tape = Tape(RATE, origin=0.0, jitter_ms=40)
    assert tape.put_agent(1.0, _tone(160)) == 8320
    assert tape.put_agent(1.059, _tone(160)) == 8480  # 39 ms late: the buffer covers it
    assert tape.glitches == 0


def test_audio_that_comes_too_late_is_a_glitch_but_a_pause_is_none() -> None:
    tape = Tape(RATE, origin=0.0, jitter_ms=0)
    tape.put_agent(1.0, _tone(160))
    tape.put_agent(1.05, _tone(160))
    assert tape.glitches == 1
    tape.put_agent(3.0, _tone(160))
    assert tape.glitches == 1


def test_playing_until_the_last_sample() -> None:
    tape = Tape(RATE, origin=0.0, jitter_ms=0)
    assert not tape.playing(0.5)
    tape.put_agent(1.0, _tone(RATE))
    assert tape.playing(1.99)
    assert not tape.playing(2.0)


def test_an_interrupted_reply_is_cut_at_the_playhead() -> None:
    tape = Tape(RATE, origin=0.0, jitter_ms=0)
    tape.put_agent(1.0, _tone(800))
    tape.put_agent(1.05, _tone(800))
    tape.drop_agent_after(1.06)
    assert tape.agent_end == 8480
    tape.drop_agent_after(0.0)
    assert tape.agent_end == 0


def test_both_channels_have_one_length_and_survive_the_file() -> None:
    tape = Tape(RATE, origin=0.0, jitter_ms=0)
    tape.put_caller(0.02, _tone(160, 7))
    tape.put_agent(0.05, _tone(80, -9))
    with wave.open(io.BytesIO(tape.wav())) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, RATE, 480)
        both = np.frombuffer(file.readframes(480), "<i2").reshape(-1, 2)
    assert both[:160, 0].tolist() == [7] * 160
    assert both[400:, 1].tolist() == [-9] * 80
    assert not both[160:, 0].any()
    assert not both[:400, 1].any()
    assert decode_wav(tape.wav()).size == 960  # our own reader takes it too


def test_what_was_spoken_before_the_calls_origin_is_not_on_the_tape() -> None:
    tape = Tape(RATE, origin=10.0)
    samples = np.arange(800, dtype=np.int16)
    assert tape.put_caller(10.05, samples) == -400
    assert tape.caller().tolist() == samples[400:].tolist()


def test_an_empty_tape_is_a_valid_file() -> None:
    with wave.open(io.BytesIO(Tape(RATE, 0.0).wav())) as file:
        assert file.getnframes() == 0


def test_a_channel_from_the_middle_is_the_tail_of_the_whole() -> None:
    tape = Tape(RATE, origin=0.0, jitter_ms=0)
    for n in range(1, 6):
        tape.put_caller(n * 0.02, np.arange(160, dtype=np.int16) + n)
    tape.put_agent(0.03, _tone(300))
    for since in (0, 1, 159, 160, 500, 799):
        assert tape.caller(since).tolist() == tape.caller()[since:].tolist()
        assert tape.agent(since).tolist() == tape.agent()[since:].tolist()
    assert tape.caller(5000).size == 0
