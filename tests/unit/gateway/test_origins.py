"""Who is on this machine, and which pages may call."""

import pytest

from gateway.origins import forwarded_from_elsewhere, host_is_loopback, is_loopback, origin_allowed

LOOPBACK = ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.8.9.1", "::1", "[::1]", "::ffff:127.0.0.1"]
ELSEWHERE = [
    "",
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "203.0.113.7",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "unknown",
]


@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
def test_host_header_of_this_machine(host: str) -> None:
    assert host_is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:8000", "localhost:80:80", "10.0.0.1:8000", "[", "[::2]:1"]
)
def test_host_header_of_another(host: str) -> None:
    assert not host_is_loopback(host)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Forwarded-For", "203.0.113.7"),
        ("X-Forwarded-For", "127.0.0.1, 203.0.113.7"),
        ("X-Forwarded-For", "203.0.113.7, 127.0.0.1"),
        ("X-Forwarded-For", ""),
        ("X-Forwarded-For", "unknown"),
        ("X-Real-IP", "2001:db8::1"),
        ("Forwarded", "for=203.0.113.7"),
        ("Forwarded", 'For="[2001:db8::1]:4711";proto=https'),
        ("Forwarded", "for=127.0.0.1, for=203.0.113.7"),
        ("forwarded", "for=_hidden"),
        ("Forwarded", "proto=https"),
        ("CF-Connecting-IP", "203.0.113.7"),
    ],
)
def test_forwarded_from_elsewhere(name: str, value: str) -> None:
    assert forwarded_from_elsewhere([(name, value)])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-For", "::1, 127.0.0.1"),
        ("Forwarded", 'for="[::1]:4711";proto=https'),
        ("X-Real-IP", "127.0.0.1:1234"),
    ],
)
def test_forwarded_on_this_machine(name: str, value: str) -> None:
    assert not forwarded_from_elsewhere([(name, value)])


ORIGINS = [
    (None, "any.example", (), True),
    ("https://voice.example", "voice.example", (), True),
    ("https://voice.example:443", "voice.example", (), True),
    ("http://voice.example", "voice.example:80", (), True),
    ("https://voice.example", "voice.example:8000", (), False),
    ("https://evil.example", "voice.example", (), False),
    ("https://voice.example.evil.example", "voice.example", (), False),
    ("https://app.example", "voice.example", ("https://app.example",), True),
    ("http://app.example", "voice.example", ("https://app.example",), False),
    ("https://anything.example", "voice.example", ("*",), True),
    ("http://localhost:3000", "localhost:8000", (), True),
    ("http://127.0.0.1:3000", "localhost:8000", (), True),
    ("http://evil.example", "localhost:8000", (), False),
    ("http://localhost:3000", "voice.example", (), False),
    ("null", "localhost:8000", (), False),
    ("null", "localhost:8000", ("null",), True),
    ("file://", "localhost:8000", (), False),
    ("chrome-extension://abc", "localhost:8000", (), False),
    ("http://[broken", "localhost:8000", (), False),
    ("http://localhost:99999", "localhost:8000", (), False),
    ("", "localhost:8000", (), False),
    ("http://voice.example", "", (), False),
]


@pytest.mark.parametrize(("origin", "host", "allowed", "expected"), ORIGINS)
def test_origins(origin: str | None, host: str, allowed: tuple[str, ...], expected: bool) -> None:
    assert origin_allowed(origin, host, allowed) is expected
