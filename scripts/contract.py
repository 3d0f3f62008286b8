"""Writes ``contract/``, what the frontend's client and menus are generated from, and the table of errors in
``docs/control-api.md``. ``--check``: only compare.

``python scripts/contract.py``
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from control_api.app import openapi_document
from control_api.identity.permissions import document
from control_api.problems import CODES

ROOT = Path(__file__).resolve().parents[1]
CONTRACT, PAGE = ROOT / "contract", ROOT / "docs" / "control-api.md"
_BEGIN, _END = "<!-- codes -->\n", "<!-- /codes -->"


def files() -> dict[Path, str]:
    """What is to be there."""
    return {
        CONTRACT / "openapi.json": openapi_document(),
        CONTRACT / "permissions.json": document(),
        PAGE: with_codes(PAGE.read_text()),
    }


def with_codes(text: str) -> str:
    """The page with the table of errors between its markers."""
    rows = [f"| {status} | `{code}` | {title} |" for code, (status, title) in CODES.items()]
    table = "\n".join(["| status | code | meaning |", "|---|---|---|", *rows]) + "\n"
    before, _, rest = text.partition(_BEGIN)
    return before + _BEGIN + table + _END + rest.partition(_END)[2]


def main(arguments: Sequence[str]) -> int:
    changed = [path for path, text in files().items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in changed:
            print(f"{path.name} is not up to date: python scripts/contract.py", file=sys.stderr)
        return 1 if changed else 0
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
