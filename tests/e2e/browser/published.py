"""The published WHIP client, as its authors packed it: fetched once by npm, and not changed."""

import shutil
import subprocess
import tarfile
from pathlib import Path

from tests.e2e.served import ROOT

PACKAGE = "@binbat/whip-whep@1.1.1-sdp-trickle-throw"
CACHE = ROOT / ".voicegate" / "npm"
_FETCH_S = 60


def whip_client() -> Path | None:
    """Its folder; None where there is no npm."""
    folder = CACHE / PACKAGE.replace("/", "-")
    if (folder / "package" / "whip.js").is_file():
        return folder / "package"
    npm = shutil.which("npm")
    if npm is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([npm, "pack", "--silent", PACKAGE], cwd=folder, check=True, capture_output=True, timeout=_FETCH_S)
    with tarfile.open(next(folder.glob("*.tgz"))) as packed:
        packed.extractall(folder, filter="data")
    return folder / "package"
