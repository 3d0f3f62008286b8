import pytest

from pipeline.adapters.local.retrieval import Index
from pipeline.adapters.local.words import Vocabulary, core, tokens

EXAMPLES = [
    ("hours", "what are your opening hours"),
    ("hours", "when are you open"),
    ("fees", "how much commission do you charge"),
    ("viewing", "i would like to book a viewing"),
    ("schools", "which primary schools are there"),
]


@pytest.mark.parametrize(
    ("said", "target"),
    [
        ("opening hours please", "hours"),
        ("so what kind of commission do you charge here", "fees"),
        ("can i book a view ing", "viewing"),
        ("book a viewwing", "viewing"),
        ("what skools are there", "schools"),
    ],
)
def test_the_best_match(said: str, target: str) -> None:
    index = Index(EXAMPLES)
    best = index.search(index.vocabulary.mended(tokens(said)))[0]
    assert best.target == target
    assert best.score > 0.4


@pytest.mark.parametrize("said", ["purple monkey dishwasher", "", "and then i would"])
def test_no_match_for_what_has_nothing_in_common(said: str) -> None:
    assert Index(EXAMPLES).search(tokens(said)) == ()


def test_a_shared_word_is_not_enough_to_be_sure() -> None:
    assert Index(EXAMPLES).search(tokens("did you book tickets for the football game"))[0].score < 0.5


def test_each_target_once_best_first() -> None:
    found = Index(EXAMPLES).search(tokens("when are you open and which schools"))
    assert len({match.target for match in found}) == len(found)
    assert [match.score for match in found] == sorted((match.score for match in found), reverse=True)


@pytest.mark.parametrize(
    ("heard", "known"), [("viewwing", "viewing"), ("house", "house"), ("zebra", "zebra"), ("view", "view")]
)
def test_unknown_words_are_drawn_to_known_ones_only_if_near(heard: str, known: str) -> None:
    assert Vocabulary(["viewing", "hours", "house"]).nearest(heard) == known


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("hello, um, what are your fees", "what are your fees"),
        ("one more thing how much is it", "how much is it"),
        ("good afternoon", ""),
        ("hours", "hours"),
    ],
)
def test_the_core_of_an_utterance(said: str, words: str) -> None:
    assert core(said) == words
