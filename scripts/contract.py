"""Writes ``contract/``: what the frontend's client and menus are generated from. ``--check``: only compare."""

import sys
from collections.abc import Sequence
from pathlib import Path

from control_api.app import openapi_document
from control_api.identity.permissions import document

CONTRACT = Path(__file__).resolve().parents[1] / "contract"


def files() -> dict[Path, str]:
    """What is to be there."""
    return {CONTRACT / "openapi.json": openapi_document(), CONTRACT / "permissions.json": document()}


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
