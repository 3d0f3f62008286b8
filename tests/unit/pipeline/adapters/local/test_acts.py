import pytest

from pipeline.adapters.local.acts import Act, acts


@pytest.mark.parametrize(
    ("said", "act"),
    [
        ("yes please", Act.YES),
        ("Yeah, that's right.", Act.YES),
        ("sounds good", Act.YES),
        ("no", Act.NO),
        ("nope not really", Act.NO),
        ("forget it", Act.CANCEL),
        ("never mind", Act.CANCEL),
        ("no i meant tuesday", Act.CORRECT),
        ("actually make it four", Act.CORRECT),
        ("sorry what did you say", Act.REPEAT),
        ("pardon", Act.REPEAT),
        ("I didn't catch that", Act.REPEAT),
        ("hang on a second", Act.WAIT),
        ("okay bye bye", Act.BYE),
        ("that's all thanks", Act.BYE),
        ("cheers", Act.THANKS),
        ("Good morning!", Act.HELLO),
        ("how's it going", Act.HOW_ARE_YOU),
        ("am i talking to a real person", Act.WHO),
        ("what can you do", Act.HELP),
        ("tell me more", Act.MORE),
        ("i don't mind", Act.ANY),
        ("doesn't matter", Act.ANY),
        ("can you hear me", Act.PRESENT),
        ("could you speak up", Act.LOUDER),
        ("this is useless", Act.UPSET),
        ("mm hmm", Act.FILLER),
    ],
)
def test_acts(said: str, act: Act) -> None:
    assert act in acts(said)


@pytest.mark.parametrize(
    ("said", "act"),
    [
        ("yesterday i saw a house", Act.YES),
        ("nothing in northgate is known to me", Act.YES),
        ("do you have a notary", Act.NO),
        ("i know the house", Act.NO),
        ("is there a bypass", Act.BYE),
        ("the waiting room", Act.WAIT),
        ("highland road", Act.HELLO),
    ],
)
def test_what_only_looks_like_an_act(said: str, act: Act) -> None:
    assert act not in acts(said)
