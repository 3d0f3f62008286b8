"""``docs/operations.md`` says what the code does."""

import re
from pathlib import Path

from gateway.problems import REFUSALS
from pipeline.session_config import SessionConfig
from pipeline.turn_state import TurnConfig
from sessions.config import Config
from sessions.keys import BEGUN, LIVE, agent_key, session_keys
from voicegate.kernel.observability.redact import KeepPrivate
from voicegate.settings import Settings, variable

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "operations.md").read_text()
INSTRUMENT = re.compile(r"\.(counter|gauge|histogram)\(\s*\"(voicegate_\w+)\"")
TOPS = ("voicegate", "gateway", "pipeline", "sessions", "control_api")
ROW = re.compile(r"^\| `(voicegate_\w+)` \| (counter|gauge|histogram) \|", re.MULTILINE)


def test_every_metric_and_its_kind() -> None:
    sources = [path for top in TOPS for path in (ROOT / top).rglob("*.py")]
    made = {(name, kind) for path in sources for kind, name in INSTRUMENT.findall(path.read_text())}
    assert len(made) > 15
    assert set(ROW.findall(PAGE)) == made


def test_every_metric_that_is_named_is_listed() -> None:
    assert set(re.findall(r"`(voicegate_\w+)`", PAGE)) == {name for name, _ in ROW.findall(PAGE)}


def test_keys() -> None:
    for key in (*session_keys("<id>"), LIVE, BEGUN, agent_key("<id>")):
        assert f"| `{key}` |" in PAGE


def test_settings_that_are_named_exist() -> None:
    known = {variable(name) for name in Settings.model_fields}
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    for page in pages:
        named = set(
            re.findall(r"\b((?:VOICEGATE|OPENAI|ELEVENLABS)_[A-Z_]+|REDIS_URL|DATABASE_URL)\b", page.read_text())
        )
        assert named <= known | {"VOICEGATE_TEST_SPEECH"}, page


def test_refusals_that_are_named_exist() -> None:
    assert set(re.findall(r"\b[45]\d\d `(\w+)`", PAGE)) <= set(REFUSALS)


def test_numbers_of_the_store() -> None:
    config = Config()
    assert f"up to {config.session_buffer_events} events a call" in PAGE
    assert f"{config.total_buffer_bytes // 2**20} MiB a process" in PAGE
    assert f"renewed every {config.lease_ttl_s / 3:.1f} s, gone after {config.lease_ttl_s:g} s" in PAGE
    assert f"at most {config.stream_max_events:,} are kept".replace(",", " ") in PAGE


def test_names_that_are_never_logged() -> None:
    sentence = PAGE[PAGE.index("the names `text`") :].split(" are dropped")[0]
    for name in re.findall(r"`(\w+)`", sentence):
        assert KeepPrivate(allowed=True)(None, "", {name: "x", "pii": "y"}) == {"pii": "y"}


def test_bounds_of_the_turn_machine() -> None:
    """The deadlines' table of ``docs/architecture.md``."""
    page, turn = (ROOT / "docs" / "architecture.md").read_text(), TurnConfig()
    rows = [
        f"| {turn.endpointing.finished_s:g} s to {turn.endpointing.unfinished_s:g} s,",
        f"| {turn.transcript_s:g} s; {turn.hesitation_s:g} s after a short sound",
        f"| {turn.barge_in_confirm_s:g} s, or two words",
        f"| {turn.unbroken_s:g} s, again and again; {turn.turn_s:g} s in all |",
        f"| {turn.filler_s:g} s, then every {turn.filler_again_s:g} s |",
        f"| every {turn.idle_s:g} s |",
    ]
    assert [row for row in rows if row not in page] == []
    assert (turn.barge_in_words, turn.fillers, turn.idle_prompts, turn.failures) == (2, 2, 2, 2)
    assert f"and {SessionConfig().pre_roll_ms} ms before it" in page
