"""Offers as browsers write them."""

FINGERPRINT = ":".join(f"{n:02X}" for n in range(32))

CHROMIUM = f"""v=0
o=- 7943257535795151530 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS 60531d7e-219b-444f-b12e-a966d25355fa
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:gbJJ
a=ice-pwd:ZiaAE426mm7jo0CByrEzd3O+
a=ice-options:trickle
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendrecv
a=msid:60531d7e-219b-444f-b12e-a966d25355fa 606039b7-a5cb-44e1-9076-5eda8658261e
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=candidate:1 1 udp 2113937151 192.0.2.7 51911 typ host generation 0 ufrag gbJJ network-cost 999
a=candidate:2 1 udp 2113937151 7bd1c5f2-7c1d-4dd0-9f64-1b2c3d4e5f60.local 51912 typ host generation 0
a=candidate:3 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active
a=ssrc:377347606 cname:zeo3po/cyoNGC+kl
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:gbJJ
a=ice-pwd:ZiaAE426mm7jo0CByrEzd3O+
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
a=mid:1
a=sctp-port:5000
a=max-message-size:262144
"""
"""What Chromium offers for a microphone and a data channel."""


def body(text: str = CHROMIUM) -> bytes:
    return text.replace("\n", "\r\n").encode()


def changed(*changes: tuple[str, str]) -> bytes:
    """The offer with texts replaced, each of which must be there."""
    text = CHROMIUM
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return body(text)
