"""The pages hold together: links lead somewhere, and what they name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SOURCES = [path for top in ("voicegate", "gateway", "pipeline", "sessions", "codecs", "benchmarks", "scripts")
           for path in (ROOT / top).rglob("*.py")]  # fmt: skip
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
TREE = ("voicegate", "gateway", "pipeline", "sessions", "codecs", "benchmarks", "tests", "scripts", "docs")


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCED.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, fragment = target.partition("#")
        found = (page.parent / place).resolve() if place else page
        assert found.exists(), f"{target} leads nowhere"
        if fragment:
            assert fragment in {anchor(heading) for heading in HEADING.findall(found.read_text())}, target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_are_named_are_there(page: Path) -> None:
    for word in CODE.findall(FENCED.sub("", page.read_text())):
        path = word.split(":")[0]
        if path.split("/")[0] in TREE and re.fullmatch(r"[\w./-]+/[\w./-]*", path) and path != "benchmarks/results/":
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_methods_that_are_named_are_there(page: Path) -> None:
    """``Class.method`` in a page is a class of ours that has this method."""
    for word in CODE.findall(FENCED.sub("", page.read_text())):
        found = re.fullmatch(r"([A-Z]\w+)\.([a-z_]\w*)(\(\))?", word)
        if found is None:
            continue
        kind, member = found[1], found[2]
        texts = [text for text in map(Path.read_text, SOURCES) if re.search(rf"^class {kind}\b", text, re.MULTILINE)]
        assert any(re.search(rf"\b(def {member}\(|{member}: )", text) for text in texts), word


def test_the_tree_names_every_folder() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    for path in SOURCES:
        folder = path.parent.relative_to(ROOT)
        if folder.parts[0] != "scripts":
            assert f"| `{folder}/` |" in page, folder


def test_nothing_is_said_of_one_machine() -> None:
    for page in PAGES:
        assert not re.search(r"/(home|root|work|Users)/", page.read_text()), page
