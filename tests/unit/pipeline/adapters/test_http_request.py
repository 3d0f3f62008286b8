"""The request that a template makes: what arguments hold stays where it is put."""

from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.adapters.http_request import BadArgument, header_faults, masked, prepare, template_faults

URL = "https://a.example/orders/{id}/lines?q={q}&v=1"


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example",
        "https://a.example:8443/x/{id}",
        "https://[2606:4700::1]/x?q={q}&r=%20",
        "https://a.example/{id}{q}",
    ],
)
def test_good_addresses(url: str) -> None:
    assert template_faults(url, ("id", "q"), plain_http=False) == []


@pytest.mark.parametrize(
    ("url", "about"),
    [
        ("http://a.example/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("https:///x", "plain host"),
        ("https://{id}.example/", "plain host"),
        ("https://u:p@a.example/", "plain host"),
        ("https://a.example\\@b.example/", "plain host"),
        ("https://a.example:99999/", "Port"),
        ("https://a.example/#top", "fragment"),
        ("https://a.example/#", "fragment"),
        ("https://a.example/a b", "escaping"),
        ("https://a.example/ä", "escaping"),
        ("https://a.example/{id", "escaping"),
        ("https://a.example/{nobody}", "'nobody'"),
        ("https://[::1/", "IPv6"),
    ],
)
def test_bad_addresses(url: str, about: str) -> None:
    assert about in " ".join(template_faults(url, ("id", "q"), plain_http=False))


def test_http_where_it_is_allowed() -> None:
    assert template_faults("http://localhost:1/x", (), plain_http=True) == []


@pytest.mark.parametrize(
    ("name", "value", "about"),
    [
        ("Ho st", "x", "name of a header"),
        ("", "x", "name of a header"),
        ("Content-Length", "1", "not a tool's"),
        ("X", "a\r\nEvil: b", "printable"),
        ("X", "ä", "printable"),
        ("X", "{{nobody}}", "'nobody'"),
    ],
)
def test_bad_headers(name: str, value: str, about: str) -> None:
    assert [(each, about in fault) for each, fault in header_faults({name: value}, ("key",))] == [(name, True)]


def test_a_good_header() -> None:
    assert header_faults({"X-Key": "Bearer {{key}}"}, ("key",)) == []


@example("../a?b&c#d;e", "&v=2#x")
@example("/", "%2F+ ")
@given(st.text(min_size=1).filter(lambda text: text not in (".", "..") and text.isprintable()), st.text())
def test_an_argument_never_leaves_its_place(segment: str, field: str) -> None:
    try:
        (segment + field).encode()
    except UnicodeEncodeError:
        return
    parts = urlsplit(prepare("GET", URL, {}, {}, {"id": segment, "q": field}).url)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "a.example", "")
    assert [unquote(part) for part in parts.path.split("/")] == ["", "orders", segment, "lines"]
    assert parse_qsl(parts.query, keep_blank_values=True) == [("q", field), ("v", "1")]


@pytest.mark.parametrize("bad", ["", ".", ".."])
def test_what_would_be_another_path(bad: str) -> None:
    with pytest.raises(BadArgument, match="id"):
        prepare("GET", URL, {}, {}, {"id": bad})


def test_the_rest_is_the_body_or_the_query() -> None:
    arguments = {"id": 7, "b": [1, True], "c": "x&y"}
    post = prepare("POST", "https://a.example/{id}", {"X": "{{k}}"}, {"k": "secret"}, arguments)
    assert (post.url, post.body) == ("https://a.example/7", b'{"b": [1, true], "c": "x&y"}')
    assert (post.headers["X"], post.headers["Content-Type"]) == ("secret", "application/json")
    get = prepare("GET", "https://a.example/{id}?v=1", {}, {}, arguments)
    assert (get.url, get.body) == ("https://a.example/7?v=1&b=1&b=true&c=x%26y", None)
    assert prepare("DELETE", "https://a.example/{id}", {}, {}, {"id": [1, 2]}).url == "https://a.example/1%2C2"
    assert prepare("PUT", "https://a.example/", {}, {}, {}).body == b"{}"


def test_secrets_are_masked_longest_first_and_in_json_too() -> None:
    assert masked('a sesame-open b sesame c "x\\"y"', ("sesame", "sesame-open", 'x"y', "")) == 'a ••• b ••• c "•••"'
