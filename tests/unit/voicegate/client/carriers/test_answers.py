"""What carriers make of a webhook's answer."""

import pytest

from voicegate.client.carriers.answers import (
    AnswerNotUnderstood,
    EndOrder,
    StreamOrder,
    read_ncco,
    read_plivo,
    read_twiml,
)

TWIML = """<?xml version="1.0" encoding="UTF-8"?><Response><Connect action="https://h/phone/twilio/answer?x=1">
<Stream url="wss://h/phone/twilio" name="gw"><Parameter name="token" value="a&amp;b"/></Stream></Connect></Response>"""


def test_twiml() -> None:
    order = read_twiml(TWIML)
    assert order == StreamOrder(
        "wss://h/phone/twilio",
        {"token": "a&b"},
        {"url": "wss://h/phone/twilio", "name": "gw"},
        "https://h/phone/twilio/answer?x=1",
    )


def test_texml_has_no_action() -> None:
    order = read_twiml('<Response><Connect><Stream url="wss://h/x" bidirectionalMode="rtp"/></Connect></Response>')
    assert isinstance(order, StreamOrder)
    assert (order.action, order.attributes["bidirectionalMode"]) == ("", "rtp")


@pytest.mark.parametrize(
    "text",
    ["<Response><Hangup/></Response>", "<Response/>", "<Response><Say>x</Say><Connect/><Reject/></Response>"],
)
def test_the_end(text: str) -> None:
    assert isinstance(read_twiml(text), EndOrder)


def test_plivo() -> None:
    order = read_plivo(
        '<Response><Stream bidirectional="true" extraHeaders="a=1,b=2">\n wss://h/x?token=t\n</Stream></Response>'
    )
    assert isinstance(order, StreamOrder)
    assert (order.url, order.parameters) == ("wss://h/x?token=t", {"a": "1", "b": "2"})


@pytest.mark.parametrize("text", ["<Response><Speak>x</Speak><Hangup/></Response>", "<Response/>"])
def test_plivo_ends(text: str) -> None:
    assert isinstance(read_plivo(text), EndOrder)


def test_ncco() -> None:
    endpoint = '{"type":"websocket","uri":"wss://h/x","content-type":"audio/l16;rate=16000","headers":{"n":1}}'
    order = read_ncco(f'[{{"action":"talk","text":"hi"}},{{"action":"connect","endpoint":[{endpoint}]}}]')
    assert isinstance(order, StreamOrder)
    assert (order.url, order.parameters) == ("wss://h/x", {"n": "1"})
    assert order.attributes["content-type"] == "audio/l16;rate=16000"
    assert isinstance(read_ncco('[{"action":"talk"},{"action":"connect","endpoint":[{"type":"phone"}]}]'), EndOrder)


@pytest.mark.parametrize("text", ["", "<Response>", "<Other/>", "<Response><Connect><Stream/></Connect></Response>"])
def test_no_twiml(text: str) -> None:
    with pytest.raises(AnswerNotUnderstood):
        read_twiml(text)


@pytest.mark.parametrize("text", ["", "{}", "nothing"])
def test_no_ncco(text: str) -> None:
    with pytest.raises(AnswerNotUnderstood):
        read_ncco(text)


def test_no_plivo_address() -> None:
    with pytest.raises(AnswerNotUnderstood, match="no address"):
        read_plivo("<Response><Stream></Stream></Response>")
