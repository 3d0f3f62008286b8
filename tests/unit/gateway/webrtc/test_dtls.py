"""DTLS without a network: two sides, and what stands between them."""

import time
from collections.abc import Callable

import pytest

from gateway.webrtc.certificate import RENEW_S, Certificates
from gateway.webrtc.dtls import Dtls, DtlsState
from gateway.webrtc.offer import Fingerprint

ALERT = b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28"


class Hand:
    """A clock that is set."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


CLOCK = Hand()
OURS, THEIRS = Certificates(CLOCK).newest(), Certificates(CLOCK).newest()  # type: ignore[arg-type]


def pair(fingerprint: Fingerprint | None = None) -> tuple[Dtls, Dtls]:
    return (
        Dtls(OURS, "active", [fingerprint or THEIRS.fingerprint]),
        Dtls(THEIRS, "passive", [OURS.fingerprint]),
    )


def shake(ours: Dtls, theirs: Dtls, through: Callable[[bytes], bool] = lambda _: True) -> None:
    waiting = [(theirs, each) for each in ours.start()]
    while waiting:
        to, datagram = waiting.pop(0)
        if through(datagram):
            _, answers = to.receive(datagram)
            waiting += [(ours if to is theirs else theirs, each) for each in answers]


def test_both_sides_agree_on_keys() -> None:
    ours, theirs = pair()
    shake(ours, theirs)
    assert ours.state is theirs.state is DtlsState.CONNECTED
    assert ours.outbound is not None
    assert theirs.inbound is not None
    packet = b"\x80\x6f" + bytes(10) + b"sound"
    assert theirs.inbound.unprotect(ours.outbound.protect(packet)) == packet
    assert theirs.outbound is not None
    assert ours.inbound is not None
    assert ours.inbound.unprotect(theirs.outbound.protect(packet)) == packet


def test_datagrams_fit_the_smallest_path() -> None:
    sizes: list[int] = []

    def through(datagram: bytes) -> bool:
        sizes.append(len(datagram))
        return True

    ours, theirs = pair()
    shake(ours, theirs, through)
    assert max(sizes) <= 1200


def test_data_and_goodbye() -> None:
    ours, theirs = pair()
    assert ours.send(b"too early") == []
    shake(ours, theirs)
    (datagram,) = ours.send(b"hello")
    assert theirs.receive(datagram) == ([b"hello"], [])
    assert theirs.receive(datagram) == ([], []), "a repeated record is dropped"
    for farewell in ours.close():
        theirs.receive(farewell)
    assert ours.state is theirs.state is DtlsState.CLOSED
    assert ours.close() == []
    assert ours.tick() == []


def test_what_was_lost_is_sent_again_in_time() -> None:
    ours, theirs = pair()
    lost = ours.start()
    assert lost
    assert ours.tick() == [], "it is not time yet"
    (again,) = _wait(ours)
    _, answers = theirs.receive(again)
    assert answers


def _wait(side: Dtls) -> list[bytes]:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if datagrams := side.tick():
            return datagrams
        time.sleep(0.02)
    raise AssertionError("nothing was sent again")


@pytest.mark.parametrize("stray", [ALERT, b"\x16\xfe\xfd" + bytes(30), b"\x17" + bytes(40), b"\x14" + bytes(13)])
def test_stray_records_during_the_handshake_do_not_end_it(stray: bytes) -> None:
    ours, theirs = pair()

    def through(_: bytes) -> bool:
        ours.receive(stray)
        return True

    shake(ours, theirs, through)
    assert ours.state is theirs.state is DtlsState.CONNECTED


def test_nonsense_after_the_handshake_has_no_effect() -> None:
    ours, theirs = pair()
    shake(ours, theirs)
    for stray in (ALERT, bytes(13), b"\x17\xfe\xfd" + bytes(100), b"\x16\xfe\xfd" + b"\xff" * 200):
        assert theirs.receive(stray)[0] == []
    (datagram,) = ours.send(b"still here")
    assert theirs.receive(datagram)[0] == [b"still here"]


def test_another_certificate_is_refused() -> None:
    ours, theirs = pair(Fingerprint("sha-256", OURS.fingerprint.digest))
    shake(ours, theirs)
    assert ours.state is DtlsState.FAILED
    assert "certificate" in ours.why
    assert ours.outbound is None


def test_all_fingerprints_must_fit() -> None:
    wrong = Fingerprint("sha-512", ":".join(["00"] * 64))
    ours, theirs = Dtls(OURS, "active", [THEIRS.fingerprint, wrong]), Dtls(THEIRS, "passive", [OURS.fingerprint])
    shake(ours, theirs)
    assert ours.state is DtlsState.FAILED


def test_one_certificate_a_day() -> None:
    clock = Hand()
    certificates = Certificates(clock)  # type: ignore[arg-type]
    first = certificates.newest()
    clock.now += RENEW_S - 1
    assert certificates.newest() is first
    clock.now += 1
    assert certificates.newest().fingerprint != first.fingerprint
