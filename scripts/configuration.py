"""Writes ``docs/configuration.md`` from ``voicegate/settings.py``; run it after a change there.

``python scripts/configuration.py``
"""

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from voicegate.settings import Settings, variable

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


def table() -> str:
    """The settings as a Markdown table."""
    rows = ["| variable | default | allowed | meaning |", "| --- | --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = field.get_default()
        shown = "" if isinstance(default, SecretStr) else str(default)
        rows.append(f"| `{variable(name)}` | `{shown}` | {_allowed(name)} | {field.description} |")
    return "\n".join(rows) + "\n"


@cache
def _schema() -> dict[str, dict[str, Any]]:
    """Of every field. Made once: it costs a hundredth of a second, and there are a hundred fields."""
    return dict(Settings.model_json_schema(by_alias=False)["properties"])


def _allowed(name: str) -> str:
    schema = _schema()[name]
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "pattern" in schema:
        return f"`{schema['pattern']}`".replace("|", "\\|")
    bounds = [f"{sign} {schema[key]}" for key, sign in (("minimum", "≥"), ("maximum", "≤")) if key in schema]
    kind = {"integer": "whole number", "number": "number", "boolean": "`true`, `false`"}.get(
        schema.get("type", ""), "text"
    )
    return " ".join([kind, ", ".join(bounds)]).strip()


if __name__ == "__main__":
    PAGE.write_text(page())
