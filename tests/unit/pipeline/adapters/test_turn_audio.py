"""What of a turn's audio is held, text, and whose."""

import numpy as np
import pytest

from pipeline.adapters.turn_audio import Piece, TurnAudio, joined
from pipeline.ports import Transcription
from voicegate.kernel.audio import Frame


def frame(value: int) -> Frame:
    return np.full(320, value, np.int16)


def filled(count: int, max_frames: int = 1000) -> TurnAudio:
    """A turn whose frame ``i`` holds the value ``i``."""
    audio = TurnAudio(max_frames)
    for value in range(count):
        audio.push(frame(value))
    return audio


def values(audio: TurnAudio, start: int, end: int) -> list[int]:
    return [int(value) for value in audio.samples(start, end)[::320]]


def test_positions_count_from_the_stream_s_first_frame() -> None:
    audio = filled(5)
    assert audio.mark(1) == 5
    assert audio.commit(1) == 5
    audio.push(frame(9))
    assert (audio.settled, audio.end) == (5, 6)
    assert values(audio, 5, 6) == [9]


def test_commit_keeps_what_came_after_its_mark() -> None:
    audio = filled(3)
    audio.mark(1)
    audio.push(frame(7))
    audio.mark(2)
    audio.push(frame(8))
    assert audio.commit(1) == 3
    assert values(audio, 0, 99) == [7, 8]
    assert audio.commit(2) == 4
    assert values(audio, 0, 99) == [8]


@pytest.mark.parametrize("mark", [1, 5])
def test_a_mark_that_is_gone_or_never_was_commits_nothing(mark: int) -> None:
    audio = filled(3)
    audio.mark(1)
    audio.mark(2)
    audio.commit(2)
    audio.push(frame(4))
    assert audio.commit(mark) is None
    assert values(audio, 0, 99) == [4]


def test_the_bound_forgets_the_oldest() -> None:
    audio = filled(12, max_frames=10)
    assert values(audio, 0, 12) == list(range(2, 12))
    assert audio.settled == 2


def test_a_commit_inside_a_piece_opens_it_and_all_behind_it_again() -> None:
    audio = filled(4)
    audio.mark(1)
    for value in range(4, 20):
        audio.push(frame(value))
    audio.settle(0, 10, Transcription("across the mark"))
    audio.settle(10, 15, Transcription("behind"))
    assert audio.settled == 15
    audio.commit(1)
    assert audio.settled == 4
    assert values(audio, audio.settled, audio.end) == list(range(4, 20))
    assert audio.whole(4, 20, Transcription("rest")).text == "rest"


def test_pieces_before_a_commit_go_and_pieces_behind_it_stay() -> None:
    audio = filled(10)
    audio.mark(1)
    audio.settle(0, 10, Transcription("gone"))
    for value in range(10):
        audio.push(frame(value))
    audio.settle(10, 20, Transcription("kept"))
    audio.commit(1)
    assert audio.settled == 20
    assert audio.whole(20, 20, Transcription("")).text == "kept"


def test_discard_forgets_marks_pieces_and_frames() -> None:
    audio = filled(10)
    audio.mark(1)
    audio.settle(0, 5, Transcription("gone"))
    audio.discard()
    assert (audio.settled, audio.end) == (10, 10)
    assert audio.commit(1) is None
    assert audio.whole(10, 10, Transcription("new")).text == "new"


@pytest.mark.parametrize("quiet", [50, 63, 80, 97])
def test_the_quiet_point_lies_in_a_pause_of_the_second_half(quiet: int) -> None:
    audio = TurnAudio(1000)
    for at in range(120):
        audio.push(frame(10 if abs(at - quiet) <= 2 or 10 <= at < 20 else 9000))
    assert abs(audio.quiet_point(0, 100) - quiet) <= 2


def test_text_is_joined_confidence_weighed_and_the_last_words_tell_the_end() -> None:
    pieces = [
        Piece(0, 300, Transcription("One,", -0.1, 0.2)),
        Piece(300, 400, Transcription("two.", -0.5, 0.9)),
        Piece(400, 450, Transcription("", -2.0, 0.0)),
    ]
    whole = joined(pieces)
    assert whole.text == "One, two."
    assert whole.confidence == pytest.approx(-0.2)
    assert whole.end_probability == 0.9


def test_no_words_at_all_are_what_the_last_piece_says() -> None:
    assert joined([Piece(0, 5, Transcription("", -1.0, 0.0))]) == Transcription("", -1.0, 0.0)


@pytest.mark.parametrize("text", ["", "words"])
def test_an_engine_s_tokens_belong_to_its_piece_alone(text: str) -> None:
    assert joined([Piece(0, 5, Transcription(text, -1.0, 0.0, tokens=(7, 2)))]).tokens == ()


def test_an_engine_without_confidence_gives_none() -> None:
    assert joined([Piece(0, 5, Transcription("words"))]).confidence is None
