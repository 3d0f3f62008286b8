"""Results as JSON, with the machine they belong to."""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import Machine


def write_results(path: Path | None, machine: Machine, **results: Any) -> None:
    """Write ``results`` (plain data, dataclasses, or lists and mappings of them) to ``path``, if one is given."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain({"machine": machine, **results}), indent=2) + "\n")


def plain(value: Any) -> Any:
    """Dataclasses as mappings, all the way down."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value
