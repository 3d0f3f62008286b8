"""Which addresses a customer's tool may reach."""

import pytest

from pipeline.adapters.http_request import Prepared
from pipeline.adapters.outward_http import RequestRefused, is_public, outward_http


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_public_ones(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
        *("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "224.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1"),
        *(
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001:0:7f00:1::",
        ),
    ],
)
def test_those_of_machines_networks_and_clouds(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("url", ["http://1.1.1.1/", "https://127.0.0.1/", "https://[::1]:9/", "https://localhost:9/"])
async def test_a_request_to_them_is_refused_whoever_made_it(url: str) -> None:
    async with outward_http() as http:
        with pytest.raises(RequestRefused, match=r"public|https"):
            await http.send(Prepared("GET", url, {}, None), 1.0)


async def test_a_name_that_is_not_known_and_a_port_that_is_closed() -> None:
    async with outward_http(private_hosts=True) as http:
        with pytest.raises(RequestRefused, match="name is not known"):
            await http.send(Prepared("GET", "https://nobody.invalid/", {}, None), 5.0)
        with pytest.raises(RequestRefused, match="takes no connection"):
            await http.send(Prepared("GET", "http://127.0.0.1:1/", {}, None), 5.0)
