"""On what, with which commit and by which command a figure was measured."""

import platform
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Machine:
    """Written into every result, because a figure without it means nothing."""

    cpu: str
    cores: int
    memory_gib: float
    load_1min: float
    """Load average when the measurement began: what else the machine was doing."""
    python: str
    commit: str
    """The commit, with ``+`` after it when tracked files differed from it."""
    command: str


def this_machine() -> Machine:
    return Machine(
        cpu=_cpu(),
        cores=psutil.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        load_1min=round(psutil.getloadavg()[0], 2),
        python=platform.python_version(),
        commit=_commit(),
        command=_command(sys.argv),
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    head = _git("rev-parse", "--short=12", "HEAD")
    return head + "+" if head and _git("status", "--porcelain", "--untracked-files=no") else head or "unknown"


def _git(*arguments: str) -> str:
    try:
        found = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()


def _command(arguments: list[str]) -> str:
    script, *options = arguments
    path = Path(script)
    name = path.parent.name if path.stem == "__main__" else path.stem  # a package is run by its name
    return shlex.join(["python", "-m", f"benchmarks.{name}", *options])
