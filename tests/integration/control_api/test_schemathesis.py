"""schemathesis against the real API, as an owner: whatever it sends, no 5xx and no answer that is not documented."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from control_api.rate import Limit
from tests.integration.control_api.api import running_world

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method"
)
PLENTY = Limit(per_s=100_000, burst=100_000)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_whatever_it_sends(database_url: str, shared_redis_url: str, tmp_path: Path) -> None:
    async with running_world(database_url, shared_redis_url, requests=PLENTY, strangers=PLENTY, live_s=0.1) as world:
        # Made when it is first asked for, which may take a busy machine longer than schemathesis waits.
        async with world.http.get(f"{world.url}/openapi.json") as document:
            assert document.status == 200
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).parent / "schemathesis"), "run", f"{world.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {world.user().token}"),
            *("--phases", "examples,coverage,fuzzing,stateful", "--checks", CHECKS),
            *("--max-examples", "3", "--seed", "1", "--no-color", "--suppress-health-check", "all"),
            # A stream of events ends only with its call; conversations that were made here are over at once.
            *("--request-timeout", "20"),
            cwd=tmp_path,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-6_000:]
