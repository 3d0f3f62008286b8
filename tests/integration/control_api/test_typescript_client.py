"""A typed TypeScript client is generated from the contract, and a frontend's first round type-checks against it."""

import shutil
import subprocess
from pathlib import Path

import pytest

CONTRACT = Path(__file__).resolve().parents[3] / "contract"


def npm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["npm", *arguments], cwd=CONTRACT, check=False, capture_output=True, text=True, timeout=110)


@pytest.fixture(scope="module")
def client() -> Path:
    """The generated client."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    if not (CONTRACT / "node_modules").exists():
        done = npm("install", "--no-package-lock", "--no-audit", "--no-fund", "--silent")
        if done.returncode != 0:
            shutil.rmtree(CONTRACT / "node_modules", ignore_errors=True)
            pytest.skip(f"npm cannot install the generator: {done.stderr.strip()[-200:]}")
    done = npm("run", "client", "--silent")
    assert done.returncode == 0, done.stderr
    return CONTRACT / "client" / "api.d.ts"


def test_a_first_round_type_checks(client: Path) -> None:
    """The round has an error on purpose, marked as expected: a check that checks nothing would miss it, and fail."""
    assert "webSocketUrl: string" in client.read_text()
    done = npm("run", "check", "--silent")
    assert done.returncode == 0, done.stdout
