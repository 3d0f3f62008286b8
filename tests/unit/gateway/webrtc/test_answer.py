"""Answers, as aiortc reads them, and line by line where it does not look."""

import pytest
from aiortc import sdp

from gateway.webrtc.answer import LocalCandidate, LocalSide, our_role, write_answer
from gateway.webrtc.offer import Fingerprint, IceLogin, read_offer
from tests.unit.gateway.webrtc.sdp import CHROMIUM, FINGERPRINT, body, changed

LOCAL = LocalSide(
    IceLogin("ours", "p" * 24),
    Fingerprint("sha-256", FINGERPRINT),
    [LocalCandidate("f1", 2130706431, "192.0.2.9", 40000), LocalCandidate("f2", 2130706175, "2001:db8::9", 40001)],
    ssrc=4711,
    cname="name",
    origin_id=99,
)


def test_both_directions() -> None:
    answer = sdp.SessionDescription.parse(write_answer(read_offer(body()), LOCAL))
    audio, data = answer.media
    assert [group.items for group in answer.group] == [["0", "1"]]
    assert (audio.kind, audio.port, audio.direction, audio.rtcp_mux) == ("audio", 40000, "sendrecv", True)
    assert [(codec.payloadType, codec.mimeType) for codec in audio.rtp.codecs] == [(111, "audio/opus")]
    assert audio.rtp.codecs[0].parameters == {
        "minptime": 10,
        "useinbandfec": 1,
        "stereo": 0,
        "maxplaybackrate": 16_000,
        "maxaveragebitrate": "32000",
    }
    assert [(each.ip, each.port) for each in audio.ice_candidates] == [("192.0.2.9", 40000), ("2001:db8::9", 40001)]
    assert audio.ice_candidates_complete
    assert audio.ssrc[0].ssrc == 4711
    assert data.sctpCapabilities is not None
    assert (data.kind, data.sctp_port, data.sctpCapabilities.maxMessageSize) == ("application", 5000, 65_536)
    for section in (audio, data):
        assert section.ice is not None
        assert section.dtls is not None
        assert (section.ice.usernameFragment, section.ice.password) == ("ours", "p" * 24)
        assert section.dtls.role == "client"
        assert [each.value for each in section.dtls.fingerprints] == [FINGERPRINT]


def test_one_direction() -> None:
    text = write_answer(read_offer(changed(("a=sendrecv", "a=sendonly"))), LOCAL)
    assert "a=recvonly" in text
    assert "ssrc" not in text
    assert "msid:" not in text


@pytest.mark.parametrize(("offered", "ours"), [("actpass", "active"), ("passive", "active"), ("active", "passive")])
def test_roles(offered: str, ours: str) -> None:
    offer = read_offer(changed(("a=setup:actpass", f"a=setup:{offered}")))
    assert our_role(offer) == ours
    assert write_answer(offer, LOCAL).count(f"a=setup:{ours}") == 2


def test_sections_keep_their_order_and_dead_ones_stay_dead() -> None:
    video = "m=video 0 UDP/TLS/RTP/SAVPF 96 97\na=mid:v\n"
    text = CHROMIUM.replace("m=audio", f"{video}m=audio")
    answer = write_answer(read_offer(body(text)), LOCAL)
    media = [line for line in answer.split("\r\n") if line.startswith("m=")]
    assert media[0] == "m=video 0 UDP/TLS/RTP/SAVPF 96 97"
    assert [line.split()[0] for line in media] == ["m=video", "m=audio", "m=application"]
    assert "a=group:BUNDLE 0 1\r\n" in answer


def test_an_offer_without_a_bundle() -> None:
    text = CHROMIUM[: CHROMIUM.index("m=application")].replace("a=group:BUNDLE 0 1\n", "")
    assert "BUNDLE" not in write_answer(read_offer(body(text)), LOCAL)
