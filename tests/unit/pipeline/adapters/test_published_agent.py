"""An agent of its published configuration."""

from datetime import UTC, datetime

from pipeline.adapters.published_agent import PublishedAgent, Surroundings, build_published, instructions
from pipeline.ports import AgentRequest, CallEnded, TextDelta


class HalfPastThree:
    """A clock that stands."""

    def monotonic(self) -> float:
        return 0.0

    def utc(self) -> datetime:
        return datetime(2026, 1, 2, 15, 30, tzinfo=UTC)


async def answer(published: PublishedAgent, text: str) -> tuple[str, bool]:
    request = AgentRequest("s", (), text, kind="answer" if text else "greeting")
    parts = [part async for part in build_published([published], Surroundings(HalfPastThree())).reply(request)]
    said = "".join(part.text for part in parts if isinstance(part, TextDelta))
    return said, any(isinstance(part, CallEnded) for part in parts)


async def test_by_rules_it_greets_and_knows_what_it_was_told() -> None:
    teller = PublishedAgent("Teller", greeting="Good day!", knowledge={"opening hours": "We open at nine."})
    assert await answer(teller, "") == ("Good day!", False)
    assert await answer(teller, "What are your opening hours?") == ("We open at nine.", False)


async def test_without_a_greeting_it_says_its_name() -> None:
    said, _ = await answer(PublishedAgent("Teller", instructions="x"), "")
    assert "Teller" in said


async def test_it_knows_the_time_and_how_to_end_a_call() -> None:
    assert "half past three" in (await answer(PublishedAgent("Teller"), "What time is it?"))[0]
    assert (await answer(PublishedAgent("Teller"), "Goodbye!"))[1]


def test_a_language_model_is_told_everything() -> None:
    text = instructions(PublishedAgent("Teller", " Be kind. ", "Good day!", {"opening hours": "We open at nine."}))
    assert text.startswith("You are Teller")
    for part in ("\n\nBe kind.\n\n", "say exactly: Good day!", "opening hours: We open at nine."):
        assert part in text
    assert instructions(PublishedAgent("Teller")).count("\n\n") == 0, "nothing is left over of what is empty"
