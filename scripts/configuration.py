"""Writes ``docs/configuration.md`` from ``voicegate/settings.py``; run it after a change there.

``python scripts/configuration.py``
"""

from pathlib import Path

from voicegate.settings import table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
_BEFORE = """# Configuration

Settings are environment variables; there is no settings file. An empty variable counts as not set. A value that is not
allowed stops the start, and the message names the variable. `voicegate doctor` tries the settings out.

"""
_AFTER = """
Benchmarks and tests read one more variable, `VOICEGATE_TEST_SPEECH`: a folder of recorded human speech with an
`index.csv` (columns `file`, `kind`, `reference`). Without it they use the embedded voice.

This page is made from `voicegate/settings.py` by `python scripts/configuration.py`.
"""


def page() -> str:
    """The whole page, with defaults as one would write them: nothing for none, small letters for truth."""
    settings = (
        table().replace("| `` |", "| |").replace("| `True` |", "| `true` |").replace("| `False` |", "| `false` |")
    )
    return _BEFORE + settings + _AFTER


if __name__ == "__main__":
    PAGE.write_text(page())
