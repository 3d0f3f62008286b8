"""TURN credentials that a server with the same secret accepts."""

import base64
import hashlib
import hmac

from gateway.webrtc.turn_credentials import ice_server_links, turn_credentials


def test_the_password_is_the_servers() -> None:
    made = turn_credentials("a shared secret", "call-1", now_s=1_000_000.9, good_for_s=600)
    assert made.username == "1000600:call-1"
    expected = hmac.new(b"a shared secret", b"1000600:call-1", hashlib.sha1).digest()
    assert base64.b64decode(made.password) == expected
    assert made.password not in repr(made)


def test_links() -> None:
    urls = ["stun:stun.example.com:3478", "turn:turn.example.com:3478?transport=udp"]
    made = turn_credentials("a shared secret", "c", now_s=0, good_for_s=1)
    assert list(ice_server_links(urls, made)) == [
        '<stun:stun.example.com:3478>; rel="ice-server"',
        f'<turn:turn.example.com:3478?transport=udp>; rel="ice-server"; username="1:c"; credential="{made.password}"; '
        'credential-type="password"',
    ]
    assert list(ice_server_links(urls, None)) == ['<stun:stun.example.com:3478>; rel="ice-server"']
