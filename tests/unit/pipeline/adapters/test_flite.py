"""flite: pauses trimmed, words where they sound, threads apart."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.adapters import flite, flite_library
from pipeline.adapters.flite import CLAUSE_GAP_S, LEAD_S, SENTENCE_GAP_S, FliteConfig, FliteSpeech, word_times
from pipeline.adapters.flite_library import Timing, Token, Voice
from pipeline.adapters.spoken import spoken
from pipeline.ports import WordTime
from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import ConfigError, ProviderError

pytestmark = pytest.mark.skipif(not flite.available(), reason="libflite1 is not installed on this machine")

RATE = flite_library.SAMPLE_RATE_HZ


async def listen(tts: FliteSpeech, phrase: str, voice: str = "") -> tuple[Samples, list[WordTime]]:
    chunks = [chunk async for chunk in tts.stream(phrase, voice=voice)]
    return np.concatenate([chunk.samples for chunk in chunks]), [word for chunk in chunks for word in chunk.words]


def loud(samples: Samples) -> tuple[float, float]:
    """When it begins and ends to be audible, in seconds."""
    (where,) = np.nonzero(np.abs(samples) > 300)
    return float(where[0]) / RATE, float(where[-1]) / RATE


@pytest.mark.parametrize(("phrase", "gap_s"), [("Good morning.", SENTENCE_GAP_S), ("Good morning,", CLAUSE_GAP_S)])
async def test_pauses_are_trimmed(phrase: str, gap_s: float) -> None:
    samples, words = await listen(FliteSpeech(), phrase)
    begins_s, ends_s = loud(samples)
    assert begins_s < LEAD_S + 0.03
    assert words[0].start_s == pytest.approx(LEAD_S, abs=0.001)
    assert len(samples) / RATE - words[-1].end_s == pytest.approx(gap_s, abs=0.001)
    assert ends_s == pytest.approx(words[-1].end_s, abs=0.06)


async def test_words_stand_where_they_sound() -> None:
    samples, words = await listen(FliteSpeech(), "Yes, we have it, and you may come.")
    comma_s = (words[0].end_s + words[1].start_s) / 2
    quiet = np.abs(samples[round((comma_s - 0.02) * RATE) : round((comma_s + 0.02) * RATE)]).max()
    middle_s = (words[3].start_s + words[3].end_s) / 2
    spoken_there = np.abs(samples[round((middle_s - 0.02) * RATE) : round((middle_s + 0.02) * RATE)]).max()
    assert words[1].start_s - words[0].end_s > 0.05, "there is a pause at the comma"
    assert quiet * 10 < spoken_there


def test_written_words_span_their_tokens() -> None:
    text = spoken("Pay £20 — now")
    ends = [text.text.index(word) + len(word) + 1 for word in ("Pay", "twenty", "pounds", "now")]
    tokens = tuple(Token(end, 0.2 + 0.1 * i, 0.3 + 0.1 * i) for i, end in enumerate(ends))
    words = word_times(text, Timing(tokens, 0.2, 0.6), 0.1)
    assert [(word.text, round(word.start_s, 3), round(word.end_s, 3)) for word in words] == [
        ("Pay", 0.1, 0.2),
        ("£20", 0.2, 0.4),
        ("—", 0.4, 0.4),
        ("now", 0.4, 0.5),
    ]


def test_voices_in_many_threads_speak_as_one_alone() -> None:
    def say(voice: Voice, text: str) -> tuple[int, list[Token], npt.NDArray[np.float64]]:
        pieces: list[Samples] = []
        timings: list[Timing] = []

        def on_audio(samples: Samples, timing: Timing) -> bool:
            pieces.append(samples)
            timings.append(timing)
            return True

        voice.speak(text, on_audio)
        samples = np.concatenate(pieces)
        usable = len(samples) // 1600 * 1600
        envelope = np.sqrt(np.mean(samples[:usable].reshape(-1, 1600).astype(float) ** 2, axis=1))
        return len(samples), list(timings[0].tokens), envelope

    texts = [f"Flat {n} costs {n * 117} pounds, Doctor Walker said on the {n} of May." for n in range(1, 25)]
    alone = Voice("rms")
    expected = [say(alone, text) for text in texts]
    voices = [Voice("rms") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        lanes = [pool.submit(lambda v, i: [say(v, t) for t in texts[i::4]], voices[i], i) for i in range(4)]
        heard = [lane.result() for lane in lanes]
    for i, text in enumerate(texts):
        length, tokens, envelope = heard[i % 4][i // 4]
        assert (length, tokens) == expected[i][:2], text
        assert np.corrcoef(envelope, expected[i][2])[0, 1] > 0.98, text  # flite's noise is random, its voice is not


def test_an_answer_of_false_stops_the_synthesis() -> None:
    calls: list[int] = []

    def once(samples: Samples, timing: Timing) -> bool:
        calls.append(len(samples))
        return False

    Voice("rms").speak("This is a rather long sentence that nobody wants to hear to its end.", once)
    assert len(calls) == 1


def test_a_phrase_that_nobody_hears_any_more_stops_at_the_next_piece() -> None:
    stopped, reported = threading.Event(), list[object]()
    phrase = flite._Phrase(spoken("Good morning to you all."), stopped, reported.append)
    calls: list[bool] = []

    def on_audio(samples: Samples, timing: Timing) -> bool:
        calls.append(phrase.on_audio(samples, timing))
        if len(calls) == 2:
            stopped.set()
        return calls[-1]

    Voice("rms").speak("Good morning to you all.", on_audio)
    assert calls == [True, True, False]


def test_an_exception_in_the_callback_comes_out() -> None:
    def broken(samples: Samples, timing: Timing) -> bool:
        raise RuntimeError("no room")

    voice = Voice("rms")
    with pytest.raises(RuntimeError, match="no room"):
        voice.speak("Hello there.", broken)


async def test_the_voice_of_another_engine_speaks_with_ours() -> None:
    tts = FliteSpeech()
    ours, _ = await listen(tts, "Good morning.")
    other, _ = await listen(tts, "Good morning.", "21m00Tcm4TlvDq8ikWAM")
    slt, _ = await listen(tts, "Good morning.", "slt")
    assert len(other) == len(ours)
    assert len(slt) != len(ours)


async def test_stretch_makes_it_slower() -> None:
    slow, _ = await listen(FliteSpeech(FliteConfig(stretch=1.5)), "Good morning to you.")
    fast, _ = await listen(FliteSpeech(FliteConfig(stretch=1.0)), "Good morning to you.")
    assert len(slow) > 1.25 * len(fast)


def test_an_unknown_voice_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="rms, slt, awb"):
        FliteSpeech(FliteConfig(voice="bob"))


def test_a_missing_library_says_how_to_mend_it() -> None:
    with pytest.raises(ConfigError, match="apt-get install libflite1"):
        flite_library.open_library("libflite_that_is_not_there.so.1")


async def test_after_close_it_refuses() -> None:
    tts = FliteSpeech()
    await tts.aclose()
    with pytest.raises(ProviderError):
        await listen(tts, "Hello.")
