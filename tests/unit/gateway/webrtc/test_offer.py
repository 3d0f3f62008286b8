"""Offers of callers: what is read, and what is refused under which code."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webrtc.offer import AudioSection, DataSection, Fingerprint, RejectedSection, read_offer
from tests.unit.gateway.webrtc.sdp import CHROMIUM, FINGERPRINT, body, changed
from voicegate.kernel.errors import RefusedCall


def test_what_a_browser_offers() -> None:
    offer = read_offer(body())
    assert offer.audio == AudioSection("0", 111, "sendrecv")
    assert offer.data == DataSection("1", 5000, 262_144)
    assert offer.sections == (offer.audio, offer.data)
    assert (offer.login.ufrag, offer.login.password) == ("gbJJ", "ZiaAE426mm7jo0CByrEzd3O+")
    assert offer.fingerprints == (Fingerprint("sha-256", FINGERPRINT),)
    assert (offer.setup, offer.bundled, offer.ice_lite) == ("actpass", True, False)
    assert [each.host for each in offer.candidates] == [
        "192.0.2.7",
        "7bd1c5f2-7c1d-4dd0-9f64-1b2c3d4e5f60.local",
        "192.0.2.7",
    ]
    assert "ZiaAE426" not in repr(offer), "a password must not reach a log"


def test_line_ends_of_every_kind_and_what_stands_in_the_session_part() -> None:
    text = re.sub(r"a=(ice-ufrag|ice-pwd|fingerprint|setup|sendrecv).*\n", "", CHROMIUM)
    session = (
        f"a=ice-ufrag:abcd\na=ice-pwd:{'p' * 22}\na=fingerprint:SHA-256 {FINGERPRINT.lower()}\na=ice-lite\na=sendonly\n"
    )
    offer = read_offer(text.replace("t=0 0\n", f"t=0 0\n{session}a=setup:passive\n").encode())
    assert offer.login.ufrag == "abcd"
    assert offer.fingerprints == (Fingerprint("sha-256", FINGERPRINT),)
    assert (offer.setup, offer.ice_lite, offer.audio.direction) == ("passive", True, "sendonly")


def test_defaults() -> None:
    text = re.sub(r"a=(setup|sendrecv|mid|sctp-port|max-message-size|group).*\n", "", CHROMIUM)
    offer = read_offer(body(text.replace("t=0 0\n", "a=group:LS 0\na=group:BUNDLE 0 1\n")))
    assert (offer.setup, offer.audio.direction, offer.audio.mid) == ("actpass", "sendrecv", "0")
    assert offer.data == DataSection("1", 5000, 65_536)


def test_a_section_that_is_dead_is_answered_dead() -> None:
    video = "m=video 0 UDP/TLS/RTP/SAVPF 96 97\na=mid:2\nm=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:3\na=inactive\n"
    offer = read_offer(body(CHROMIUM + video))
    assert offer.sections[2:] == (
        RejectedSection("2", "video", "UDP/TLS/RTP/SAVPF", "96 97"),
        RejectedSection("3", "audio", "UDP/TLS/RTP/SAVPF", "0"),
    )


def test_bundle_only_is_alive() -> None:
    offer = read_offer(changed(("m=application 9", "m=application 0"), ("a=sctp-port:5000", "a=bundle-only")))
    assert offer.data == DataSection("1", 5000, 262_144)


@pytest.mark.parametrize(
    "change",
    [
        ("a=group:BUNDLE 0 1\n", ""),
        ("a=group:BUNDLE 0 1\n", "a=group:BUNDLE 0\n"),
        ("webrtc-datachannel", "5000"),
        ("UDP/DTLS/SCTP", "UDP/TLS/UDPTL"),
        ("m=application 9", "m=application 0"),
    ],
)
def test_data_that_we_cannot_carry_is_rejected_alone(change: tuple[str, str]) -> None:
    offer = read_offer(changed(change))
    assert offer.data is None
    assert isinstance(offer.sections[1], RejectedSection)


def test_a_second_data_section_is_rejected() -> None:
    again = CHROMIUM[CHROMIUM.index("m=application") :].replace("a=mid:1", "a=mid:2")
    offer = read_offer(body(CHROMIUM.replace("BUNDLE 0 1", "BUNDLE 0 1 2") + again))
    assert isinstance(offer.sections[2], RejectedSection)


def test_unknown_digests_and_unreadable_candidates_are_passed_over() -> None:
    offer = read_offer(
        changed(
            ("a=setup:actpass\na=mid:0", "a=fingerprint:md5 00\na=setup:active\na=mid:0"),
            ("a=candidate:1 1 udp", "a=candidate:1 one udp"),
        )
    )
    assert len(offer.fingerprints) == 1
    assert len(offer.candidates) == 2
    assert offer.setup == "active"


@pytest.mark.parametrize(
    ("code", "old", "new"),
    [
        ("bad_sdp", "v=0\n", "v=1\n"),
        ("bad_sdp", "s=-\n", "nonsense\n"),
        ("bad_sdp", "s=-\n", "ss=-\n"),
        ("bad_sdp", "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126", "m=audio 9 UDP/TLS/RTP/SAVPF"),
        ("bad_sdp", "m=audio 9", "m=audio nine"),
        ("bad_sdp", "m=audio 9", "m=audio 999999"),
        ("bad_sdp", "m=audio 9", "m=au<dio 9"),
        ("bad_sdp", "UDP/DTLS/SCTP", "UDP//SCTP"),
        ("bad_sdp", "webrtc-datachannel", "web rtc\tchannel"),
        ("bad_sdp", "a=mid:0", "a=mid:" + "0" * 65),
        ("bad_sdp", "a=mid:0", "a=mid:0 1"),
        ("bad_sdp", "a=mid:1", "a=mid:0"),
        ("bad_sdp", "a=ice-ufrag:gbJJ", "a=ice-ufrag:gb"),
        ("bad_sdp", "a=ice-pwd:ZiaAE426mm7jo0CByrEzd3O+", "a=ice-pwd:short"),
        ("bad_sdp", FINGERPRINT, FINGERPRINT[3:]),
        ("bad_sdp", "fingerprint:sha-256", "fingerprint:md5"),
        ("bad_sdp", "a=sctp-port:5000", "a=sctp-port:70000"),
        ("bad_sdp", "a=max-message-size:262144", "a=max-message-size:many"),
        ("unsupported_media", "a=max-message-size:262144", "a=max-message-size:1"),
        ("unsupported_media", "opus/48000/2", "opus/16000"),
        ("unsupported_media", "a=rtpmap:111 opus/48000/2", "a=rtpmap:112 opus/48000/2"),
        ("unsupported_media", "111", "72"),
        ("unsupported_media", "111", "211"),
        ("unsupported_media", "a=rtcp-mux\n", ""),
        ("unsupported_media", "UDP/TLS/RTP/SAVPF", "RTP/AVP"),
        ("unsupported_media", "a=sendrecv", "a=recvonly"),
        ("unsupported_media", "a=sendrecv", "a=inactive"),
        ("unsupported_media", "m=audio", "m=video"),
        ("unsupported_setup", "a=setup:actpass", "a=setup:holdconn"),
    ],
)  # fmt: skip
def test_what_is_refused(code: str, old: str, new: str) -> None:
    with pytest.raises(RefusedCall) as refused:
        read_offer(changed((old, new)))
    assert refused.value.code == code


def test_two_microphones_are_refused() -> None:
    section = CHROMIUM[CHROMIUM.index("m=audio") : CHROMIUM.index("m=application")].replace("a=mid:0", "a=mid:2")
    with pytest.raises(RefusedCall, match="exactly one"):
        read_offer(body(CHROMIUM + section))


def test_nothing_at_all_is_refused() -> None:
    for empty in (b"", b"\r\n\r\n"):
        with pytest.raises(RefusedCall, match="v=0"):
            read_offer(empty)


_LINES = st.sampled_from(
    [*CHROMIUM.splitlines(), "a=mid:0", "m=video 9 UDP/TLS/RTP/SAVPF 96", "a=group:BUNDLE", "a=", "m=", "="]
)


@given(st.lists(_LINES | st.text(max_size=40), max_size=60), st.booleans())
def test_any_text_is_an_offer_or_refused(lines: list[str], begins: bool) -> None:
    text = "\n".join(["v=0", *lines] if begins else lines)
    code = "read"
    try:
        assert read_offer(text.encode(errors="ignore")).sections
    except RefusedCall as refusal:
        code = refusal.code
    assert code in {"read", "bad_sdp", "too_large", "unsupported_media", "unsupported_setup"}
