"""``voicegate serve`` in a process of its own, as a customer starts it; and what it left in Redis."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from redis import Redis

from sessions.keys import session_keys
from sessions.model import TranscriptEntry
from sessions.transcript import decode_entry, in_order
from voicegate.kernel.events import Event, decode

ROOT = Path(__file__).resolve().parents[2]
_START_S = 60.0
_CALM = {"VOICEGATE_LATE_MS": "0"}
"""How loaded the tester's machine is must not decide a test; load has tests of its own."""
_OURS = ("VOICEGATE_", "REDIS_", "OPENAI_", "ELEVENLABS_")


@dataclass
class Served:
    """A gateway on ``data_dir``; it may be killed and started again."""

    data_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ("voicegate", "serve")
    """Module and its arguments."""
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"ws://localhost:{self.port}"

    @property
    def http(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> str:
        """All that it wrote, over restarts."""
        return (self.data_dir / "gateway.log").read_text(errors="replace")

    def start(self) -> None:
        """Start it on a free port (the same one after a restart) and wait until it takes calls."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        paths = os.pathsep.join([str(ROOT), str(ROOT / "codecs")])
        environment = (
            kept | {"PYTHONPATH": paths, "VOICEGATE_DATA_DIR": str(self.data_dir)} | _CALM | dict(self.environment)
        )
        environment["VOICEGATE_PORT"] = str(self.port)
        module, *arguments = self.command
        with (self.data_dir / "gateway.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments], stdout=output, stderr=output, env=environment, cwd=ROOT
            )
        until = time.monotonic() + _START_S
        while not self.ready():
            assert self.alive, self.log[-3000:]
            assert time.monotonic() < until, f"not ready after {_START_S:g} s\n{self.log[-3000:]}"
            time.sleep(0.05)

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.http}/health/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self, number: signal.Signals = signal.SIGTERM, *, within_s: float = 20.0) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        assert self.process is not None
        if self.alive:
            self.process.send_signal(number)
        return self.process.wait(within_s)

    def close(self) -> None:
        """End it whatever its state, and the Redis that a killed one left behind."""
        if self.process is not None and self.alive:
            try:
                self.stop(within_s=15.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        left = self.redis_process()
        if left is not None:
            left.kill()

    # --- its Redis ---

    @property
    def redis_dir(self) -> Path:
        return self.data_dir / "redis"

    def redis_process(self) -> psutil.Process | None:
        try:
            process = psutil.Process(int((self.redis_dir / "redis.pid").read_text()))
            return process if "redis" in process.name() and process.is_running() else None
        except (OSError, ValueError, psutil.NoSuchProcess):
            return None

    def redis(self) -> "Redis":
        """A client of the embedded Redis; close it."""
        return Redis(unix_socket_path=(self.redis_dir / "socket").read_text())

    def transcript(self, session_id: str) -> tuple[TranscriptEntry, ...]:
        with self.redis() as client:
            values = client.hvals(session_keys(session_id).transcript)
        return in_order(decode_entry(value) for value in values)

    def said(self, session_id: str, role: str) -> str:
        """All words of one side (``user`` or ``agent``) as they are stored."""
        return " ".join(entry.text for entry in self.transcript(session_id) if entry.role == role)

    def events(self, session_id: str) -> list[Event]:
        with self.redis() as client:
            entries = client.xrange(session_keys(session_id).events)
        return [decode(fields[b"e"]) for _, fields in entries]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
