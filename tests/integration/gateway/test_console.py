"""The console's files and the list of agents, over real HTTP: what is served, how, and what never is."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from gateway.admission import Admission, AdmissionConfig
from gateway.console import FOLDER, Console, load_console
from gateway.directory import Directory
from gateway.tokens import Claims, SpentHere, TokenVerifier, sign
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.errors import ConfigError
from voicegate.kernel.telemetry import NoTelemetry

SECRET = "signing-secret-of-the-test"
FILES = load_console()
ALL = '{"agents":["Amelia","Daniel"],"published":[{"id":"7c9e6679","name":"Teller"}]}'


async def _ready() -> None: ...


def _directory(host: str, connections_per_s: float) -> Directory:
    clock = SystemClock()
    admission = Admission(
        AdmissionConfig(host=host, connections_per_s=connections_per_s, connection_burst=3),
        tokens=TokenVerifier(clock, secrets=(SECRET,)),
        spent=SpentHere(clock),
        ready=_ready,
        full=lambda _: False,
        clock=clock,
        telemetry=NoTelemetry(),
    )
    return Directory(admission, lambda: ("Amelia", "Daniel"), _published)


async def _published(most: int) -> list[tuple[str, str]]:
    return [("7c9e6679", "Teller")][:most]


@asynccontextmanager
async def site(host: str = "127.0.0.1", connections_per_s: float = 1000.0) -> AsyncIterator[str]:
    """Its address. ``host``: what the gateway is told that it listens on."""
    application = web.Application()
    application.add_routes([*Console(FILES).routes(), *_directory(host, connections_per_s).routes()])
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        listener = web.TCPSite(runner, "127.0.0.1", 0)
        await listener.start()
        yield f"http://localhost:{listener.port}"
    finally:
        await runner.cleanup()


async def ask(address: str, method: str = "GET", **headers: str) -> tuple[int, CIMultiDict[str], bytes]:
    """Exactly this path: nothing is tidied up on the way. The body is as it came, packed or not."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession(auto_decompress=False) as http,
        http.request(method, URL(address, encoded=True), headers=named, allow_redirects=False) as answer,
    ):
        return answer.status, CIMultiDict(answer.headers), await answer.read()


async def test_the_page_is_alone_with_its_own_files() -> None:
    async with site() as at:
        status, headers, body = await ask(f"{at}/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "*" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    page = gzip.decompress(body).decode() if headers.get("Content-Encoding") == "gzip" else body.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", page), "the policy would stop it"
    used = re.findall(r'(?:src|href)="(console/[^"]+)"', page)
    assert used
    assert {path.removeprefix("console/") for path in used} <= set(FILES)


def imports(name: str, text: str) -> set[str]:
    """The modules that a module of the console imports, by their path in the folder."""
    found = re.findall(r'^(?:import|export)[^"]*?"(\./[^"]+|\.\./[^"]+)";$', text, re.MULTILINE | re.DOTALL)
    return {str(Path(name).parent.joinpath(each).resolve().relative_to(Path.cwd())) for each in found}


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".js")])
def test_modules_import_what_is_there(name: str) -> None:
    text = FILES[name].body.decode()
    assert imports(name, text) <= set(FILES)
    assert not re.search(r"[\"'`]https?://(?!voice\.example\.com)", text), "nothing comes from elsewhere"


def test_all_modules_of_the_page_are_asked_for_at_once() -> None:
    """Each one that is found late costs another round trip."""
    page = FILES["index.html"].body.decode()
    needed, found = {"page/main.js"}, set[str]()
    while needed - found:
        name = (needed - found).pop()
        found.add(name)
        needed |= imports(name, FILES[name].body.decode())
    assert {f'href="console/{name}"' for name in found} <= set(re.findall(r'href="[^"]+"', page))


async def test_every_file_has_its_type_and_may_be_loaded_by_any_page() -> None:
    async with site() as at:
        for name, file in FILES.items():
            status, headers, body = await ask(f"{at}/console/{name}", Accept_Encoding="identity")
            assert (status, body) == (200, file.body), name
            assert headers["Content-Type"] == f"{file.content_type}; charset=utf-8"
            assert ("Content-Security-Policy" in headers) == (name == "index.html")
            assert (headers.get("Access-Control-Allow-Origin") == "*") == (name != "index.html")


async def test_what_a_browser_has_is_not_sent_again() -> None:
    async with site() as at:
        address = f"{at}/console/style.css"
        _, plain, body = await ask(address, Accept_Encoding="identity")
        _, packed, squeezed = await ask(address, Accept_Encoding="gzip, br")
        assert packed["Content-Encoding"] == "gzip"
        assert gzip.decompress(squeezed) == body
        assert plain["ETag"] != packed["ETag"], "other bytes, another name (RFC 9110 section 8.8.3)"
        assert plain["Vary"] == packed["Vary"] == "Accept-Encoding"
        assert plain["Cache-Control"] == "no-cache"
        for known in (packed["ETag"], f'"other", {packed["ETag"]}', "*"):
            status, headers, left = await ask(address, Accept_Encoding="gzip", If_None_Match=known)
            assert (status, left) == (304, b"")
            assert headers["ETag"] == packed["ETag"]
        assert (await ask(address, Accept_Encoding="gzip", If_None_Match='"old"'))[0] == 200
        status, headers, body = await ask(address, "HEAD", Accept_Encoding="identity")
        assert (status, body, headers["Content-Length"]) == (200, b"", plain["Content-Length"])
        assert (await ask(address, "POST"))[0] == 405


ESCAPES = [
    "/console/",
    "/console",
    "/console/../pyproject.toml",
    "/console/%2e%2e/pyproject.toml",
    "/console/..%2fpyproject.toml",
    "/console/client/../../gateway/server.py",
    "/console//etc/passwd",
    "/console/%2fetc%2fpasswd",
    "/console/style.css/",
    "/console/style.css%00.js",
    "/console/STYLE.CSS",
    "/console/client/worklet.d.ts",
    "/console/" + "a/" * 2000,
    "/console/%ff%fe",
]


@pytest.mark.parametrize("path", ESCAPES, ids=lambda path: str(path)[:40])
async def test_nothing_else_is_served(path: str) -> None:
    async with site() as at:
        assert (await ask(at + path))[0] == 404


def test_an_incomplete_installation_is_named(tmp_path: Path) -> None:
    (tmp_path / "style.css").write_text("")
    with pytest.raises(ConfigError, match=r"no index\.html"):
        load_console(tmp_path)


def test_the_wheel_takes_the_folder() -> None:
    text = (FOLDER.parent / "pyproject.toml").read_text()
    assert re.search(r'\[tool\.hatch\.build\.targets\.wheel\]\npackages = \[.*"console".*\]', text)


def token(session: str = "*", agent: str = "", lives_s: int = 3600) -> str:
    """Good for as long as the other tests may take: the table below is made before the first of them."""
    claims = Claims(session, int(datetime.now(UTC).timestamp()) + lives_s, agent, "single-use")
    return f"Bearer {sign(SECRET, claims)}"


LISTED: list[tuple[str, str, dict[str, str], int, str]] = [
    ("127.0.0.1", "", {}, 200, ALL),
    ("127.0.0.1", "", {"Origin": "http://localhost:3000"}, 200, ALL),
    ("0.0.0.0", "", {"Authorization": token()}, 200, ALL),
    ("0.0.0.0", "", {"Authorization": token(agent="Daniel")}, 200, '{"agents":["Daniel"],"published":[]}'),
    ("0.0.0.0", "?session=s1", {"Authorization": token("s1")}, 200, ALL),
    ("0.0.0.0", "?session=s2", {"Authorization": token("s1")}, 403, "forbidden"),
    ("0.0.0.0", "", {}, 401, "unauthorized"),
    ("0.0.0.0", "", {"Authorization": "Bearer nonsense"}, 401, "unauthorized"),
    ("0.0.0.0", "", {"Authorization": token(lives_s=-5)}, 401, "unauthorized"),
    ("0.0.0.0", "", {"Authorization": f"Bearer {'x' * 4000}"}, 401, "unauthorized"),
    ("127.0.0.1", "", {"Origin": "https://evil.example"}, 403, "foreign_origin"),
    ("127.0.0.1", "", {"X_Forwarded_For": "203.0.113.7"}, 403, "foreign_client"),
    ("127.0.0.1", "", {"Host": "evil.example"}, 403, "foreign_client"),
]


@pytest.mark.parametrize(("host", "query", "headers", "status", "told"), LISTED)
async def test_agents_are_told_to_those_who_may_call(
    host: str, query: str, headers: dict[str, str], status: int, told: str
) -> None:
    async with site(host) as at:
        for _ in range(2):  # a single-use token is not spent by asking
            found, answered, body = await ask(f"{at}/agents{query}", **headers)
            assert found == status
            assert told in body.decode()
            assert answered["Cache-Control"] == "no-store"
            assert "Access-Control-Allow-Origin" not in answered


async def test_asking_too_often_is_refused() -> None:
    async with site(connections_per_s=0.01) as at:
        found = await asyncio.gather(*(ask(f"{at}/agents") for _ in range(6)))
    assert sorted(status for status, _, _ in found) == [200] * 3 + [429] * 3
