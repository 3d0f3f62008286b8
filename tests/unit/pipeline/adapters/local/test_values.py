from datetime import date

import pytest

from pipeline.adapters.local.entities import unnamed
from pipeline.adapters.local.persona import Entity, Slot
from pipeline.adapters.local.replies import spoken
from pipeline.adapters.local.values import Scene, Value, read
from pipeline.adapters.local.words import tokens

HOMES = (Entity("Mill Lane"), Entity("Rose Cottage", ("cottage",)), Entity("Tanner's Yard", ("tanners yard",)))
SCENE = Scene(date(2026, 11, 20), HOMES)
PLACE = Slot(name="property", kind="entity", entity="property")
ROOMS = Slot(name="bedrooms", kind="number", unit=("bed", "bedroom", "bedrooms"))
MONEY = Slot(name="budget", kind="money")
NAME = Slot(name="name", kind="person")
WISHES = Slot(name="features", kind="flags", choices={"garden": ("gardens",), "parking": ("parking space", "car")})


@pytest.mark.parametrize(
    ("said", "awaited", "value"),
    [
        ("my name is john smith", False, "John Smith"),
        ("it's anna", True, "Anna"),
        ("sarah jones", True, "Sarah Jones"),
        ("yes it's tom baker please", True, "Tom Baker"),
        ("sarah jones", False, None),
        ("i said tuesday", True, None),
        ("who are you", True, None),
        ("cheers bye", True, None),
        ("no", True, None),
    ],
)
def test_names(said: str, awaited: bool, value: str | None) -> None:
    assert read(NAME, said, SCENE, awaited=awaited) == value


@pytest.mark.parametrize(
    ("said", "awaited", "value"),
    [
        ("four hundred thousand", False, 400_000),
        ("under 350k", False, 350_000),
        ("between three hundred and three fifty", True, 350_000),
        ("about three fifty", True, 350_000),
        ("half a million", False, 500_000),
        ("fifteen hundred a month", False, 1500),
        ("twelve hundred", True, 1200),
        ("two bedrooms", True, None),
        ("at ten o'clock", False, None),
    ],
)
def test_money(said: str, awaited: bool, value: int | None) -> None:
    assert read(MONEY, said, SCENE, awaited=awaited) == value


def test_cheaper_is_below_the_last_budget() -> None:
    assert read(MONEY, "anything cheaper", Scene(SCENE.today, previous=400_000)) == 340_000
    assert read(MONEY, "anything cheaper", SCENE) is None


@pytest.mark.parametrize(
    ("said", "awaited", "value"),
    [
        ("a two bed flat", False, 2),
        ("three bedrooms", False, 3),
        ("a studio", False, 0),
        ("two", True, 2),
        ("two", False, None),
    ],
)
def test_rooms(said: str, awaited: bool, value: int | None) -> None:
    slot = Slot(name="bedrooms", kind="number", unit=("bed", "bedroom", "bedrooms"))
    assert read(slot, said, SCENE, awaited=awaited) == value


@pytest.mark.parametrize(
    ("said", "scene", "value"),
    [
        ("what about mill lane", SCENE, "Mill Lane"),
        ("the mil lane house", SCENE, "Mill Lane"),
        ("tell me about rows cottage", SCENE, "Rose Cottage"),
        ("the cottage", SCENE, "Rose Cottage"),
        ("a pot of coffee", SCENE, None),
        ("how big is it", SCENE, None),
        ("how big is it", Scene(SCENE.today, HOMES, focus="Mill Lane"), "Mill Lane"),
        ("are there any others", Scene(SCENE.today, HOMES, focus="Mill Lane"), None),
        ("the second one", Scene(SCENE.today, HOMES, offered=("Mill Lane", "Rose Cottage")), "Rose Cottage"),
        ("the last one", Scene(SCENE.today, HOMES, offered=("Mill Lane", "Rose Cottage")), "Rose Cottage"),
        ("the fourth one", Scene(SCENE.today, HOMES, offered=("Mill Lane", "Rose Cottage")), None),
        ("the other one", Scene(SCENE.today, HOMES, "Mill Lane", ("Mill Lane", "Rose Cottage")), "Rose Cottage"),
    ],
)
def test_things(said: str, scene: Scene, value: str | None) -> None:
    assert read(PLACE, said, scene) == value


def test_wishes_are_all_taken() -> None:
    assert read(WISHES, "with a garden and a parking space", SCENE) == ("garden", "parking")
    assert read(WISHES, "with nothing", SCENE) is None


def test_names_of_things_say_nothing_else() -> None:
    assert unnamed(tokens("does tanners yard have a yard"), [HOMES]) == ("does", "have", "a", "yard")


@pytest.mark.parametrize(
    ("slot", "value", "words"),
    [
        (MONEY, 350_000, "three hundred fifty thousand pounds"),
        (ROOMS, 2, "two"),
        (WISHES, ("garden", "parking"), "garden and parking"),
        (NAME, "Ann", "Ann"),
        (Slot(name="d", kind="day"), "2026-11-24", "Tuesday the twenty fourth of November"),
        (Slot(name="t", kind="time"), "15:30", "half past three"),
    ],
)
def test_values_are_said_back(slot: Slot, value: Value, words: str) -> None:
    assert spoken(slot, value, SCENE.today) == words
