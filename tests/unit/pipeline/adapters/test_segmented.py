"""The races of segmented streaming, with an engine whose answers the test gives out one by one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

from pipeline.adapters.segmented import SegmentedConfig, SegmentedSpeechToText, SegmentedStream
from pipeline.allowance import Allowance
from pipeline.ports import EngineBusy, Hypothesis, Transcription
from voicegate.kernel.audio import Frame, Samples
from voicegate.kernel.errors import ConfigError, ProviderError

QUIET = SegmentedConfig(interim_every_s=None)


@dataclass
class Call:
    seconds: float
    answer: asyncio.Future[Transcription]
    draft: str | None = None
    interim: bool = False
    cancelled: bool = False


@dataclass
class Engine:
    """Holds every call until the test answers it."""

    calls: list[Call] = field(default_factory=list)

    async def transcribe(
        self, samples: Samples, *, draft: Transcription | None = None, interim: bool = False
    ) -> Transcription:
        answer: asyncio.Future[Transcription] = asyncio.get_running_loop().create_future()
        call = Call(samples.size / 16000, answer, draft.text if draft else None, interim)
        self.calls.append(call)
        try:
            return await call.answer
        except asyncio.CancelledError:
            call.cancelled = True
            raise

    def say(self, text: str, *, call: int = -1) -> None:
        self.calls[call].answer.set_result(Transcription(text, -0.1, 0.9))

    def refuse(self, *, call: int = -1) -> None:
        self.calls[call].answer.set_exception(EngineBusy("fake", "busy", retryable=True))

    def fail(self, *, call: int = -1) -> None:
        self.calls[call].answer.set_exception(ProviderError("fake", "failed", retryable=True))


@dataclass
class Read:
    """A stream, its engine, and what a reader got so far."""

    stream: SegmentedStream
    engine: Engine
    got: list[tuple[str, int | None] | ProviderError]


FRAME: Frame = np.full(320, 5000, np.int16)


def push(stream: SegmentedStream, seconds: float) -> None:
    for _ in range(round(seconds * 50)):
        stream.push(FRAME)


async def settle_down() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def reading(config: SegmentedConfig = QUIET, allowance: Allowance | None = None) -> AsyncIterator[Read]:
    """A stream with a reader that survives provider errors, as the driver's does."""
    engine = Engine()
    stream = SegmentedSpeechToText(engine, config, provider="fake", allowance=allowance).open()
    read = Read(stream, engine, [])

    def take(hypothesis: Hypothesis) -> None:
        read.got.append((hypothesis.transcription.text, hypothesis.mark))

    async def reader() -> None:
        while True:
            try:
                async for hypothesis in stream:
                    take(hypothesis)
                return
            except ProviderError as error:
                read.got.append(error)

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(reader())
        yield read
        await stream.aclose()


async def test_a_mark_is_answered_with_the_whole_turn() -> None:
    async with reading() as r:
        push(r.stream, 1.0)
        r.stream.mark(1)
        await settle_down()
        r.engine.say("hello")
        await settle_down()
        push(r.stream, 0.5)
        r.stream.mark(2)
        await settle_down()
        assert r.engine.calls[-1].seconds == 1.5
        r.engine.say("hello there")
        await settle_down()
        assert r.got == [("hello", 1), ("hello there", 2)]


async def test_audio_after_the_mark_is_not_in_its_answer() -> None:
    async with reading() as r:
        push(r.stream, 1.0)
        r.stream.mark(1)
        push(r.stream, 3.0)
        await settle_down()
        assert [call.seconds for call in r.engine.calls] == [1.0]


async def test_a_mark_cancels_the_interim_in_flight_and_starts_at_once() -> None:
    async with reading(SegmentedConfig()) as r:
        push(r.stream, 0.5)
        await settle_down()
        assert [call.seconds for call in r.engine.calls] == [0.5]
        push(r.stream, 0.3)
        r.stream.mark(1)
        await settle_down()
        assert r.engine.calls[0].cancelled
        assert r.engine.calls[1].seconds == 0.8
        r.engine.say("done")
        await settle_down()
        assert r.got == [("done", 1)]


async def test_only_one_interim_is_in_flight_and_the_next_takes_all_that_came() -> None:
    async with reading(SegmentedConfig()) as r:
        push(r.stream, 0.5)
        await settle_down()
        push(r.stream, 2.0)
        await settle_down()
        assert len(r.engine.calls) == 1
        r.engine.say("one")
        await settle_down()
        assert [call.seconds for call in r.engine.calls] == [0.5, 2.5]
        assert r.got == [("one", None)]


async def test_interims_are_decoded_only_while_the_process_can_afford_them() -> None:
    allowance = Allowance(interims=False)
    async with reading(SegmentedConfig(interim_every_s=0.5), allowance) as r:
        push(r.stream, 1.0)
        await settle_down()
        assert r.engine.calls == []
        r.stream.mark(1)
        await settle_down()
        r.engine.say("marks are answered all the same")
        await settle_down()
        allowance.interims = True
        push(r.stream, 0.6)
        await settle_down()
        assert [call.interim for call in r.engine.calls] == [False, True]


async def test_an_interim_that_says_nothing_new_is_not_told() -> None:
    async with reading(SegmentedConfig()) as r:
        for text in ("", "one", "one", "one two"):
            push(r.stream, 0.5)
            await settle_down()
            r.engine.say(text)
            await settle_down()
        assert r.got == [("one", None), ("one two", None)]


async def test_long_buffers_are_decoded_less_often() -> None:
    async with reading(SegmentedConfig(interim_every_s=0.5, interim_growth=0.2)) as r:
        push(r.stream, 10.0)
        await settle_down()
        r.engine.say("ten")
        await settle_down()
        push(r.stream, 2.4)
        await settle_down()
        assert len(r.engine.calls) == 1
        push(r.stream, 0.2)
        await settle_down()
        assert len(r.engine.calls) == 2


async def test_a_superseded_mark_is_cancelled_and_stays_unanswered() -> None:
    async with reading() as r:
        push(r.stream, 1.0)
        r.stream.mark(1)
        await settle_down()
        push(r.stream, 1.0)
        r.stream.mark(2)
        await settle_down()
        assert r.engine.calls[0].cancelled
        r.engine.say("both")
        await settle_down()
        assert r.got == [("both", 2)]


async def test_commit_drops_a_mark_that_is_being_decoded() -> None:
    async with reading() as r:
        push(r.stream, 1.0)
        r.stream.mark(1)
        await settle_down()
        r.stream.commit(1)
        push(r.stream, 0.4)
        r.stream.mark(2)
        await settle_down()
        assert r.engine.calls[0].cancelled
        assert r.engine.calls[-1].seconds == pytest.approx(0.4)


async def test_a_later_mark_survives_the_commit_of_an_earlier_one() -> None:
    async with reading() as r:
        push(r.stream, 1.0)
        r.stream.mark(1)
        await settle_down()
        r.engine.say("first")
        await settle_down()
        push(r.stream, 0.6)
        r.stream.mark(2)
        r.stream.commit(1)
        await settle_down()
        assert r.engine.calls[-1].seconds == pytest.approx(0.6)
        r.engine.say("second")
        await settle_down()
        assert r.got == [("first", 1), ("second", 2)]


@pytest.mark.parametrize("ticks", range(6))
async def test_an_answer_on_its_way_when_the_turn_is_discarded_is_not_told(ticks: int) -> None:
    """Between the engine's answer and the reader lie a few turns of the loop; a discard may fall into any of them."""
    async with reading() as r:
        push(r.stream, 1.0)
        r.stream.mark(1)
        await settle_down()
        r.engine.say("late")
        for _ in range(ticks):
            await asyncio.sleep(0)
        told = list(r.got)
        r.stream.discard()
        await settle_down()
        assert r.got == told


async def test_less_than_the_shortest_segment_is_answered_without_the_engine() -> None:
    async with reading() as r:
        push(r.stream, 0.06)
        r.stream.mark(1)
        await settle_down()
        assert r.got == [("", 1)]
        assert r.engine.calls == []


async def test_a_long_turn_is_settled_piecewise_and_joined() -> None:
    async with reading(SegmentedConfig(interim_every_s=None, max_segment_s=2.0)) as r:
        push(r.stream, 1.5)
        for _ in range(5):
            r.stream.push(np.zeros(320, np.int16))
        push(r.stream, 1.0)
        await settle_down()
        assert r.engine.calls[0].seconds == pytest.approx(1.54, abs=0.06), "cut in the pause"
        r.engine.say("first piece")
        await settle_down()
        assert r.got == [], "a settled piece is no hypothesis"
        r.stream.mark(1)
        await settle_down()
        assert r.engine.calls[1].seconds == pytest.approx(2.6 - r.engine.calls[0].seconds)
        r.engine.say("and the rest")
        await settle_down()
        assert r.got == [("first piece and the rest", 1)]


async def test_a_mark_far_behind_settles_on_the_way() -> None:
    async with reading(SegmentedConfig(interim_every_s=None, max_segment_s=1.0)) as r:
        push(r.stream, 2.9)
        r.stream.mark(1)
        spoken = 0
        while not r.got:
            await settle_down()
            spoken += 1
            r.engine.say(str(spoken))
            await settle_down()
        assert all(call.seconds <= 1.0 for call in r.engine.calls)
        assert sum(call.seconds for call in r.engine.calls) == pytest.approx(2.9)
        assert r.got == [(" ".join(map(str, range(1, spoken + 1))), 1)]


async def test_a_failure_is_raised_once_and_the_audio_is_still_there() -> None:
    async with reading() as r:
        push(r.stream, 1.0)
        r.stream.mark(1)
        await settle_down()
        r.engine.fail()
        await settle_down()
        assert [type(item) for item in r.got] == [ProviderError]
        push(r.stream, 0.2)
        r.stream.mark(2)
        await settle_down()
        assert r.engine.calls[-1].seconds == 1.2
        r.engine.say("again")
        await settle_down()
        assert r.got[1:] == [("again", 2)]


async def test_a_failing_interim_is_not_told_and_interims_wait_for_the_next_mark() -> None:
    async with reading(SegmentedConfig()) as r:
        push(r.stream, 0.5)
        await settle_down()
        r.engine.fail()
        await settle_down()
        push(r.stream, 2.0)
        await settle_down()
        assert len(r.engine.calls) == 1
        r.stream.mark(1)
        await settle_down()
        r.engine.say("final")
        await settle_down()
        push(r.stream, 0.6)
        await settle_down()
        assert len(r.engine.calls) == 3
        assert r.got == [("final", 1)]


async def test_a_failing_piece_is_tried_again_only_after_more_audio() -> None:
    async with reading(SegmentedConfig(interim_every_s=None, max_segment_s=2.0)) as r:
        push(r.stream, 2.1)
        await settle_down()
        r.engine.fail()
        await settle_down()
        push(r.stream, 0.1)
        await settle_down()
        assert len(r.engine.calls) == 1
        push(r.stream, 0.5)
        await settle_down()
        assert len(r.engine.calls) == 2
        assert [type(item) for item in r.got] == [ProviderError]


async def test_audio_is_bounded_while_the_engine_is_stuck() -> None:
    config = SegmentedConfig(interim_every_s=None, max_segment_s=1.0, max_audio_s=3.0)
    async with reading(config) as r:
        push(r.stream, 10.0)
        r.stream.mark(1)
        await settle_down()
        total = 0.0
        while not r.got:
            total += r.engine.calls[-1].seconds
            r.engine.say("x")
            await settle_down()
        assert total == pytest.approx(3.0, abs=1.0)


@pytest.mark.parametrize("act", [lambda r: r.stream.aclose(), lambda r: asyncio.sleep(0)])
async def test_close_cancels_what_runs(act: Callable[[Read], Awaitable[None]]) -> None:
    async with reading() as r:
        push(r.stream, 1.0)
        r.stream.mark(1)
        await settle_down()
        await act(r)
    assert r.engine.calls[0].cancelled
    r.stream.push(FRAME)
    assert [hypothesis async for hypothesis in r.stream] == []
    assert len(r.engine.calls) == 1


async def test_an_answer_is_the_draft_of_the_next_for_audio_with_the_same_start() -> None:
    async with reading(SegmentedConfig()) as r:
        for text in ("one", "one two"):
            push(r.stream, 0.5)
            await settle_down()
            r.engine.say(text)
            await settle_down()
        push(r.stream, 0.1)
        r.stream.mark(1)
        await settle_down()
        r.engine.say("one two three")
        await settle_down()
        push(r.stream, 0.1)
        r.stream.mark(2)
        await settle_down()
        assert [call.draft for call in r.engine.calls] == [None, "one", "one two", "one two three"]
        assert [call.interim for call in r.engine.calls] == [True, True, False, False]


@pytest.mark.parametrize("forget", [lambda stream: stream.commit(1), lambda stream: stream.discard()])
async def test_no_draft_goes_over_to_audio_with_another_start(forget: Callable[[SegmentedStream], None]) -> None:
    async with reading() as r:
        push(r.stream, 1.0)
        r.stream.mark(1)
        await settle_down()
        r.engine.say("first")
        await settle_down()
        push(r.stream, 0.3)
        forget(r.stream)
        push(r.stream, 0.3)
        r.stream.mark(2)
        await settle_down()
        assert [call.draft for call in r.engine.calls] == [None, None]


async def test_behind_a_settled_piece_nothing_is_a_draft_but_the_piece_s_own_interims_are() -> None:
    async with reading(SegmentedConfig(interim_every_s=0.5, max_segment_s=2.0)) as r:
        for seconds in (1.5, 0.6):
            push(r.stream, seconds)
            await settle_down()
            r.engine.say("piece")
            await settle_down()
        r.stream.mark(1)
        await settle_down()
        piece, rest = r.engine.calls[1], r.engine.calls[-1]
        assert (piece.draft, piece.interim) == ("piece", False)
        assert (rest.draft, rest.interim) == (None, False)


async def test_when_the_oldest_audio_is_forgotten_its_text_is_no_draft() -> None:
    config = SegmentedConfig(interim_every_s=None, max_segment_s=1.0, max_audio_s=1.0)
    async with reading(config) as r:
        push(r.stream, 0.9)
        r.stream.mark(1)
        await settle_down()
        r.engine.say("begins at the start")
        await settle_down()
        for _ in range(20):
            push(r.stream, 0.02)
        r.stream.mark(2)
        await settle_down()
        assert r.engine.calls[1].draft is None


async def test_a_refused_interim_is_left_out_and_the_next_comes_with_more_audio() -> None:
    async with reading(SegmentedConfig()) as r:
        push(r.stream, 0.5)
        await settle_down()
        r.engine.refuse()
        await settle_down()
        push(r.stream, 0.3)
        await settle_down()
        assert len(r.engine.calls) == 1
        push(r.stream, 0.2)
        await settle_down()
        assert [call.seconds for call in r.engine.calls] == [0.5, 1.0]
        r.engine.say("later")
        await settle_down()
        assert r.got == [("later", None)]


@pytest.mark.parametrize(("language", "fits"), [("en", True), ("en-GB", True), ("EN", True), ("de", False)])
def test_the_language_must_be_one_of_the_engine_s(language: str, fits: bool) -> None:
    speech_to_text = SegmentedSpeechToText(Engine(), provider="fake")
    if fits:
        speech_to_text.open(language=language)
    else:
        with pytest.raises(ConfigError, match="de"):
            speech_to_text.open(language=language)
