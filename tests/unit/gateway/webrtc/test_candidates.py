"""Candidates: reading them, and where no check may go."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webrtc.candidates import CandidatePolicy, RemoteCandidate, checkable, read_candidate

HOST = "4234997325 1 udp 2043278322 192.0.2.172 44323 typ host generation 0 ufrag gbJJ"


def test_reading() -> None:
    assert read_candidate(HOST) == RemoteCandidate("4234997325", 1, "udp", 2043278322, "192.0.2.172", 44323, "host")
    relayed = read_candidate("r 1 UDP 41885695 198.51.100.9 49152 typ relay raddr 0.0.0.0 rport 9")
    assert relayed is not None
    assert (relayed.transport, relayed.kind) == ("udp", "relay")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 1 udp 1 192.0.2.1 5000 typ",
        "1 1 udp 1 192.0.2.1 5000 kind host",
        "1 x udp 1 192.0.2.1 5000 typ host",
        "1 1 udp -1 192.0.2.1 5000 typ host",
        "1 1 udp ² 192.0.2.1 5000 typ host",
        "1 0 udp 1 192.0.2.1 5000 typ host",
        "1 257 udp 1 192.0.2.1 5000 typ host",
        "1 1 udp 4294967296 192.0.2.1 5000 typ host",
        "1 1 udp 99999999999 192.0.2.1 5000 typ host",
        "1 1 udp 1 192.0.2.1 0 typ host",
        "1 1 udp 1 192.0.2.1 65536 typ host",
        "1 1 udp 1 192.0.2.1 5000 typ guest",
        f"{'f' * 65} 1 udp 1 192.0.2.1 5000 typ host",
        f"1 1 udp 1 {'h' * 256} 5000 typ host",
        "<b> 1 udp 1 192.0.2.1 5000 typ host",
    ],
)
def test_what_is_no_candidate(text: str) -> None:
    assert read_candidate(text) is None


@given(st.text())
def test_any_text_is_a_candidate_or_none(text: str) -> None:
    read_candidate(text)


@pytest.mark.parametrize("host", ["192.0.2.1", "10.1.2.3", "100.64.0.1", "2001:db8::1", "fd00::2", "64:ff9b::c000:201"])
def test_where_checks_go(host: str) -> None:
    assert CandidatePolicy().may_check(host, 5000)


NEVER = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.1.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.251",
    "239.1.2.3",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "fe80::1%eth0",
    "192.0.2.1%eth0",
    "7bd1c5f2.local",
    "localhost",
    "2130706433",
    "",
]


@pytest.mark.parametrize("host", NEVER)
@pytest.mark.parametrize("loopback", [False, True])
def test_where_no_check_goes(host: str, loopback: bool) -> None:
    assert not CandidatePolicy(loopback).may_check(host, 5000)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]
)
def test_loopback_by_setting_only(host: str) -> None:
    assert not CandidatePolicy().may_check(host, 5000)
    assert CandidatePolicy(allow_loopback=True).may_check(host, 5000)


def test_teredo_hides_an_address_too() -> None:
    hidden = ipaddress.IPv6Address(
        int(ipaddress.IPv6Address("2001:0:c000:201::")) | (~int(ipaddress.IPv4Address("127.0.0.1")) & 0xFFFFFFFF)
    )
    assert not CandidatePolicy().may_check(str(hidden), 5000)


def test_denied_ranges_and_low_ports() -> None:
    policy = CandidatePolicy(denied=(ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")))
    assert not policy.may_check("10.1.2.3", 5000)
    assert not policy.may_check("fd12::1", 5000)
    assert not policy.may_check("::ffff:10.1.2.3", 5000)
    assert policy.may_check("192.168.1.1", 1024)
    assert not policy.may_check("192.168.1.1", 1023)


def test_what_goes_into_the_check_list() -> None:
    def candidate(text: str) -> RemoteCandidate:
        found = read_candidate(text)
        assert found is not None
        return found

    policy = CandidatePolicy()
    assert checkable(candidate(HOST), policy)
    for text in (
        HOST.replace(" 1 udp", " 2 udp"),
        HOST.replace(" udp ", " tcp "),
        HOST.replace("typ host", "typ prflx"),
        HOST.replace("192.0.2.172", "127.0.0.1"),
        HOST.replace("192.0.2.172", "abc.local"),
    ):
        assert not checkable(candidate(text), policy)
