"""Talking with the demo agents: what they do, and words that must be in what they say.

Utterances stand as a recogniser gives them: mostly without punctuation, some with its errors.
"""

import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

import pytest

from pipeline.adapters.demo_agent import DemoParts, build_demo
from pipeline.adapters.local.persona import Persona, load_persona
from pipeline.adapters.openai_compatible import OpenAICompatible, OpenAICompatibleConfig
from pipeline.ports import AgentRequest, TextDelta, ToolReturned
from tests.vendors.openai_chat import ChatStandIn

MAX_WORDS = 42

SINGLE: Sequence[tuple[str, str, str]] = [
    # what the caller says, start of the first tool call ("" none), words of the answer
    ("hello", "", "what can i do"),
    ("good afternoon", "", "hello"),
    ("how are you", "", "very well"),
    ("Are you a robot?", "", "automated"),
    ("who am i speaking to", "", "amelia"),
    ("what can you do", "", "book a viewing"),
    ("tell me a joke", "", "window"),
    ("are you still there", "", "i can hear you"),
    ("um i'm looking for a flat", "", "to buy or to rent"),
    ("i want to rent flat", "", "how many bedrooms"),
    ("do you have any two bedroom houses for sale under three hundred thousand", "find_property", "mill lane"),
    ("have you got a three bed with a garage to rent for fifteen hundred a month", "find_property", "beech avenue"),
    ("what have you got in riverside to buy two bedrooms three fifty max", "", "budget"),
    ("tell me about rose cottage", "property_details", "south-facing garden"),
    ("how much is harbor house", "property_details", "three hundred and forty thousand"),
    ("hows the parking at orchard close", "property_details", "double garage"),
    ("is the old bakery still available", "property_details", "still available"),
    ("does tanners yard take dogs", "property_details", "pets are welcome"),
    ("is there a lift at station road", "property_details", "yes, station road has one"),
    ("i'd like to book a viewing", "", "which home"),
    ("can i see mill lane", "", "which day"),
    ("i'd like to see rose cottage tomorrow at ten", "check_viewing", "what's your name"),
    ("i want to visit castle street on sunday", "check_viewing", "on sundays"),
    ("what are your opening hours", "", "nine to six"),
    ("what time do you close", "", "nine to six"),
    ("when are you open on saturdays", "", "nine to four"),
    ("where is your office", "", "bridge street"),
    ("what are your fees", "", "one point two per cent"),
    ("could you tell me how much you charge for selling", "", "one point two per cent"),
    ("i would like a valuation of my house", "", "valuations are free"),
    ("we're thinking of selling our flat", "", "free valuation"),
    ("what documents do i need to rent", "", "payslips"),
    ("how much is the deposit for renting", "", "five weeks' rent"),
    ("are pets allowed in your flats", "", "tanner's yard"),
    ("what are the skools like in the area", "", "four primary schools"),
    ("how long does it take to buy a house", "", "ten to fourteen weeks"),
    ("can i make an offer on meadow view", "", "every offer"),
    ("what is the notise period", "", "two months' notice"),
    ("my boiler is broken", "", "sorry to hear"),
    ("i want to speak to a real person", "", "colleagues"),
    ("do you speak german", "", "only speak english"),
    ("can i talk to somebody about a morgage", ">Daniel", "daniel"),
    ("how much could i borrow if i earn fifty thousand", ">Daniel", "two hundred and twenty five thousand"),
    ("what time is it", "current_time", "twelve forty"),
    ("what day is it today", "current_time", "friday the twentieth of november"),
    ("what's the weather like tomorrow", "", "beyond me"),
    ("blah purple monkey dishwasher", "", "i heard: blah purple monkey"),
    ("", "", "willow and finch"),
    ("thanks that's all bye", "end_call", "goodbye"),
]


@pytest.mark.parametrize(("text", "tool", "words"), SINGLE, ids=[text or "(greeting)" for text, _, _ in SINGLE])
async def test_one_utterance(caller: Any, text: str, tool: str, words: str) -> None:
    reply = await caller.say(text)
    called = caller.tools[0] if caller.tools else ""
    assert called.startswith(tool) if tool else not caller.tools, reply
    assert words in reply.lower()
    assert len(reply.split()) <= MAX_WORDS


STRANGER: Sequence[tuple[str, Sequence[str], str]] = [
    ("good afternoon", [], "hello"),
    ("yeah hi um i saw a house on your website mill lane i think", ["property_details"], "walled garden"),
    ("is it still available", ["property_details"], "still available"),
    ("are there any schools near by", ["property_details"], "saint anne's"),
    ("what about parking", ["property_details"], "street permit"),
    ("hmm and is the price negotiable", [], "offer"),
    ("okay could i come and have a look at it", [], "which day"),
    ("how about thursday afternoon", ["check_viewing"], "what time"),
    ("oh wait no thursday doesn't work can we do friday instead", ["check_viewing"], "what time"),
    ("two o'clock", ["check_viewing"], "your name"),
    ("do i need to bring anything to the viewing", [], "bring whoever you like"),
    ("it's tom baker", [], "friday the twenty seventh of november at two o'clock, in the name of tom baker"),
    ("yes that's right", ["book_viewing"], "booked: mill lane"),
    (
        "one more thing how much could i borrow if i earn forty five thousand",
        [">Daniel", "borrowing_power"],
        "two hundred",
    ),
    ("what would that be per month", ["monthly_payment"], "a month"),
    ("no thank you that's everything", ["end_call"], "goodbye"),
]


@pytest.mark.parametrize("fresh", [False, True], ids=["one process", "a new process every turn"])
async def test_a_strangers_call(another_caller: Callable[..., Any], fresh: bool) -> None:
    caller = another_caller(fresh=fresh)
    await caller.say("")
    for text, tools, words in STRANGER:
        reply = await caller.say(text)
        assert [call.split("{")[0] for call in caller.tools] == list(tools), (text, reply)
        assert words in reply.lower(), (text, reply)
        assert len(reply.split()) <= MAX_WORDS
    assert caller.ended
    viewing = caller.viewings.viewings[0]
    assert (viewing.home, viewing.day.isoformat(), viewing.at.hour, viewing.name) == (
        "Mill Lane",
        "2026-11-27",
        14,
        "Tom Baker",
    )


async def turns(caller: Any, *texts: str) -> str:
    reply = ""
    for text in texts:
        reply = await caller.say(text)
    return reply


async def test_search_is_made_narrower(caller: Any) -> None:
    await turns(caller, "i'm looking for something to buy", "two bedrooms", "about three fifty")
    assert json.loads(caller.tools[0].removeprefix("find_property")) == {"deal": "buy", "bedrooms": 2, "budget": 350000}
    reply = await caller.say("with a garden")
    assert '"features": ["garden"]' in caller.tools[0]
    assert "Mill Lane" in reply
    await caller.say("anything cheaper")
    assert '"budget": 290000' in caller.tools[0]


async def test_the_second_one(caller: Any) -> None:
    await turns(caller, "i'm looking for something to buy", "two", "any")
    assert "Harbour House" in await caller.say("tell me about the third one")
    reply = await caller.say("no the first")
    assert "Station Road" in reply
    assert "district heating" in await caller.say("and the heating")


async def test_no_preference_is_no_argument(caller: Any) -> None:
    await turns(caller, "what have you got in riverside", "to buy", "doesn't matter", "no limit")
    assert json.loads(caller.tools[0].removeprefix("find_property")) == {"deal": "buy", "district": "Riverside"}


async def test_corrections_before_and_after_the_yes(caller: Any) -> None:
    await turns(caller, "can i see rose cottage", "tuesday", "no i meant wednesday", "half past two", "john smith")
    reply = await caller.say("no make it three o'clock")
    assert "Wednesday the twenty fifth of November at three o'clock" in reply
    assert "What should I change" in await caller.say("no")
    assert "your name" in await caller.say("the name")
    assert "John Smythe" in await caller.say("john smythe")
    await caller.say("yes")
    await turns(caller, "actually could you change it to friday", "yes please")
    assert [(v.day.day, v.at.hour, v.name) for v in caller.viewings.viewings] == [(27, 15, "John Smythe")]


async def test_nothing_is_booked_without_a_yes(caller: Any) -> None:
    await turns(caller, "book a viewing for mill lane", "monday at ten", "sarah jones")
    reply = await turns(caller, "hmm", "what are your fees", "forget it")
    assert "haven't booked" in reply
    assert caller.viewings.viewings == ()


async def test_goodbye_leaves_a_booking_undone(caller: Any) -> None:
    await turns(caller, "book a viewing for mill lane", "monday at ten", "cheers bye")
    assert caller.ended
    assert caller.viewings.viewings == ()


async def test_two_callers_want_the_same_hour(another_caller: Callable[..., Any]) -> None:
    first = another_caller()
    await turns(first, "can i see mill lane on monday at ten", "ann lee", "yes")
    second = another_caller(viewings=first.viewings, session_id="s2")
    reply = await second.say("can i see mill lane on monday at ten")
    assert "ten o'clock is taken" in reply
    assert "half past ten" in reply
    await turns(second, "half past ten", "bob ray", "yes")
    assert [viewing.name for viewing in first.viewings.viewings] == ["Ann Lee", "Bob Ray"]


async def test_a_viewing_is_cancelled(caller: Any) -> None:
    await turns(caller, "can i see mill lane on monday at ten", "ann lee", "yes", "cancel my viewing", "yes")
    assert caller.viewings.viewings == ()


@pytest.mark.parametrize(
    ("day", "refusal"),
    [("on sunday", "On Sundays"), ("in twenty weeks", "two months"), ("tomorrow at eight", "from nine")],
)
async def test_impossible_times_are_refused_at_once(caller: Any, day: str, refusal: str) -> None:
    assert refusal in await caller.say(f"can i see mill lane {day}")


async def test_doubtful_words_are_said_back(caller: Any) -> None:
    reply = await caller.say("book uh feeing at mil lane", confidence=-0.9)
    assert reply == "I think I heard: book uh feeing at mil lane. Is that right?"
    assert caller.tools == []
    assert "Which day" in await caller.say("yes")


async def test_doubtful_words_that_were_wrong(caller: Any) -> None:
    await caller.say("monkey business", confidence=-0.9)
    assert "say it again" in await caller.say("no")
    assert "nine to six" in await caller.say("what are your opening hours")


async def test_repeating_what_was_not_heard(caller: Any) -> None:
    first = await caller.say("what are your opening hours", cut_to=8)
    assert await caller.say("sorry what did you say") == first


async def test_an_answer_to_a_question_that_was_cut(caller: Any) -> None:
    await caller.say("can i see mill lane", cut_to=0)
    await caller.say("next monday")
    assert caller.tools[0].startswith("check_viewing")


async def test_handing_over_and_back(caller: Any) -> None:
    await turns(caller, "i need mortgage advice")
    assert caller.agent == "Daniel"
    assert "four and a half per cent" in await caller.say("what are the interest rates")
    reply = await caller.say("can you put me back to amelia i want to book a viewing")
    assert caller.agent == "Amelia"
    assert reply.startswith("Hello again")
    assert "Which day" in await caller.say("rose cottage")


async def test_three_misses_end_in_what_it_can_do(caller: Any) -> None:
    replies = [await caller.say(text) for text in ("i want pizza", "can you sing", "purple monkey")]
    assert len(set(replies)) == 3
    assert "can't help" in replies[-1]


@pytest.mark.parametrize(("kind", "words"), [("idle", "still there"), ("resume", "dropped")])
async def test_silence_and_a_lost_line(caller: Any, kind: str, words: str) -> None:
    await caller.say("can i see mill lane")
    reply = await caller.say("", kind=kind)
    assert words in reply
    assert "Which day suits you?" in reply


async def test_the_same_agents_on_a_language_model() -> None:
    async with ChatStandIn() as vendor:
        endpoint = OpenAICompatible(OpenAICompatibleConfig(vendor.url, "stand-in"))
        desk = build_demo(parts=DemoParts(model=endpoint.model, settings=endpoint.settings, provider="openai"))
        said = 'use property_details {"property": "Mill Lane"}'
        outputs = [output async for output in desk.reply(AgentRequest("s1", (), said))]
        await endpoint.aclose()
    assert any(isinstance(output, ToolReturned) and output.ok for output in outputs)
    assert "walled garden" in "".join(output.text for output in outputs if isinstance(output, TextDelta))
    names = {tool["function"]["name"] for tool in vendor.requests[0]["tools"]}
    assert names >= {"find_property", "book_viewing", "transfer_to_daniel", "end_call"}
    assert vendor.requests[0]["stream_options"] == {"include_usage": True}


def personas() -> list[Persona]:
    folder = files("pipeline.adapters.demo")
    return [load_persona((folder / f"{name}.toml").read_text(encoding="utf-8")) for name in ("receptionist", "adviser")]


@pytest.mark.parametrize("persona", personas(), ids=lambda persona: persona.about.agent)
def test_everything_written_is_short_enough_to_be_spoken(persona: Persona) -> None:
    about = persona.about
    texts = [about.greeting, about.offer, about.introduction, about.joke, about.farewell]
    texts += [f"{passage.answer} {passage.follow_up}" for passage in about.passage]
    assert [text for text in texts if len(text.split()) > 40] == []
    assert not any(character.isdigit() for text in texts for character in text)


@pytest.mark.parametrize(
    ("topic", "question"),
    [(passage.topic, question) for passage in personas()[0].about.passage for question in passage.questions],
)
async def test_every_written_question_finds_its_passage(caller: Any, topic: str, question: str) -> None:
    answer = next(passage.answer for passage in personas()[0].about.passage if passage.topic == topic)
    assert answer in await caller.say(question)
