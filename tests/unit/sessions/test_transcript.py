"""The transcript's fold: a table of stories, and what holds for all of them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.model import TranscriptEntry
from sessions.transcript import Transcript, decode_entry, encode_entry, field_name, settle
from voicegate.kernel.events import (
    Event,
    Notice,
    ReplyFinished,
    ReplyHeard,
    ReplyInterrupted,
    ReplyStarted,
    ReplyText,
    TurnCommitted,
)
from voicegate.kernel.ids import SessionId, TurnId

AT = datetime(2025, 3, 1, 12, tzinfo=UTC)


def make(kind: type, turn: int | None, **fields: Any) -> Event:
    event: Event = kind(session_id=SessionId("s"), seq=1, at=AT, turn=turn, **fields)
    return event


def said(text: str, turn: int = 1) -> Event:
    return make(TurnCommitted, turn, text=text)


def started(agent: str = "", turn: int = 1) -> Event:
    return make(ReplyStarted, turn, agent=agent)


def wrote(text: str, turn: int = 1) -> Event:
    return make(ReplyText, turn, text=text)


def heard(text: str, turn: int = 1) -> Event:
    return make(ReplyHeard, turn, text=text)


def cut(heard_text: str, rest: str, turn: int = 1) -> Event:
    return make(ReplyInterrupted, turn, heard=heard_text, cut=rest)


def finished(text: str, turn: int = 1) -> Event:
    return make(ReplyFinished, turn, text=text)


def agent(text: str, generated: str, heard_text: str, state: Any, name: str = "") -> TranscriptEntry:
    return TranscriptEntry(TurnId(1), "agent", text, AT, generated, heard_text, state, name)


STORIES: dict[str, tuple[list[Event], TranscriptEntry | None]] = {
    "started": ([started("Ann")], agent("", "", "", "speaking", "Ann")),
    "speaking": ([started(), wrote("One."), wrote("Two.")], agent("One. Two.", "One. Two.", "", "speaking")),
    "half heard": ([started(), wrote("One. Two."), heard("One.")], agent("One. Two.", "One. Two.", "One.", "speaking")),
    "finished": ([started(), wrote("One."), finished("One.")], agent("One.", "One.", "One.", "finished")),
    "cut": (
        [started(), wrote("One. Two."), heard("One."), cut("One.", "Two.")],
        agent("One.", "One. Two.", "One.", "interrupted"),
    ),
    "cut before a word was heard": ([started(), wrote("One."), cut("", "One.")], agent("", "One.", "", "interrupted")),
    "late text is not heard": (
        [started(), wrote("One."), cut("One.", ""), wrote("Two."), heard("One. Two."), finished("One. Two.")],
        agent("One.", "One.", "One.", "interrupted"),
    ),
    "the start was not seen": ([wrote("One."), heard("One.")], agent("One.", "One.", "One.", "speaking")),
    "only the end was seen": ([finished("One.")], agent("One.", "One.", "One.", "finished")),
    "only the cut was seen": ([cut("One.", "Two.")], agent("One.", "One. Two.", "One.", "interrupted")),
    "a filler, then the answer": (
        [started("Ann"), wrote("Hm."), finished("Hm."), started(), wrote("Nine."), wrote("Sharp."), heard("Nine.")],
        agent("Hm. Nine. Sharp.", "Hm. Nine. Sharp.", "Hm. Nine.", "speaking", "Ann"),
    ),
    "a filler, then a cut answer of another agent": (
        [started("Ann"), wrote("Hm."), finished("Hm."), started("Bob"), wrote("Nine sharp."), cut("Nine", "sharp.")],
        agent("Hm. Nine", "Hm. Nine sharp.", "Hm. Nine", "interrupted", "Bob"),
    ),
    "a reply that never ended, then another": (
        [started(), wrote("One. Two."), heard("One."), started(), wrote("Three."), finished("Three.")],
        agent("One. Three.", "One. Two. Three.", "One. Three.", "finished"),
    ),
    "nothing that is said": ([make(Notice, 1, code="x", message="y")], None),
    "no turn": ([make(ReplyText, None, text="One.")], None),
}


@pytest.mark.parametrize("story", STORIES)
def test_stories(story: str) -> None:
    events, expected = STORIES[story]
    transcript = Transcript()
    for event in events:
        transcript.apply(event)
    assert transcript.entries() == (() if expected is None else (expected,))


def test_a_turn_committed_again_replaces_its_words() -> None:
    transcript = Transcript()
    transcript.apply(said("I would"))
    entry = transcript.apply(said("I would like tea"))
    assert transcript.entries() == (entry,) == (TranscriptEntry(TurnId(1), "user", "I would like tea", AT),)


def test_entries_are_in_the_order_of_talk() -> None:
    transcript = Transcript()
    for event in (started(turn=10), said("b", turn=10), started(turn=2), said("a", turn=2)):
        transcript.apply(event)
    assert [field_name(entry) for entry in transcript.entries()] == ["2:user", "2:agent", "10:user", "10:agent"]


def test_a_resumed_transcript_goes_on_after_what_was_heard() -> None:
    before = settle(agent("One. Two.", "One. Two.", "One.", "speaking", "Ann"))
    assert before == agent("One.", "One. Two.", "One.", "interrupted", "Ann")
    transcript = Transcript([before])
    for event in (heard("One. Two."), started(), wrote("Three."), finished("Three.")):
        transcript.apply(event)
    assert transcript.entries() == (agent("One. Three.", "One. Two. Three.", "One. Three.", "finished", "Ann"),)


words = st.text("ab. ", max_size=6)
turns = st.integers(1, 3)
events = st.one_of(
    st.builds(said, words, turns),
    st.builds(started, words, turns),
    st.builds(wrote, words, turns),
    st.builds(heard, words, turns),
    st.builds(cut, words, words, turns),
    st.builds(finished, words, turns),
)


@given(st.lists(events, max_size=40))
def test_whatever_happens_a_closed_reply_is_what_was_heard(history: list[Event]) -> None:
    transcript = Transcript()
    for event in history:
        transcript.apply(event)
    entries = transcript.entries()
    assert len({field_name(entry) for entry in entries}) == len(entries)
    for entry in entries:
        if entry.role == "agent" and entry.state != "speaking":
            assert entry.text == entry.heard
        assert settle(entry).state != "speaking"
        assert decode_entry(encode_entry(entry)) == entry


@given(st.lists(events, max_size=40))
def test_the_changes_alone_rebuild_the_transcript(history: list[Event]) -> None:
    transcript = Transcript()
    stored: dict[str, bytes] = {}
    for event in history:
        entry = transcript.apply(event)
        if entry is not None:
            stored[field_name(entry)] = encode_entry(entry)
    assert {field_name(entry): encode_entry(entry) for entry in transcript.entries()} == stored


@given(st.lists(events, max_size=40), st.integers(0, 40))
def test_after_a_crash_no_turn_says_more_than_was_heard(history: list[Event], crash: int) -> None:
    transcript = Transcript()
    for event in history[:crash]:
        transcript.apply(event)
    settled = [settle(entry) for entry in transcript.entries()]
    for entry, was in zip(settled, transcript.entries(), strict=True):
        assert entry.text == (was.heard if was.role == "agent" else was.text)
    resumed = Transcript(settled)
    assert resumed.entries() == tuple(settled)
