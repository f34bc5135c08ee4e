"""Services of the lab's network: DNS, DHCP, the route to the metadata service, the web server, AWS's endpoints.

Does not prove anything about AWS itself. Run as root: `pytest lab/tests/machines/test_network_services.py`. Clean-up by
hand: `ip netns` names that start with `labtest-`, and the interface `labtest-admin`.
"""

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import settings
from lab.network import Network, names
from lab.network.certificates import ca_certificate_pem
from lab.network.internet import InternetServices
from lab.network.sockets import call_in, listen
from lab.tests.machines.network_tools import (
    answer_once,
    dhcp_offer,
    fetch,
    open_device,
    resolve,
    wait_for_dhcp,
)
from lab.tests.machines.own_network import AU, UK, WORLD, host, router
from lab.tests.network_world import article, with_rules
from lab.world import World

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


def test_security_groups_do_not_filter_metadata_and_dns(network: Network, world: World) -> None:
    network.apply(with_rules(world, "sg-host-uk", []))
    with listen(router(UK), "169.254.169.254", 80) as metadata:
        client = call_in(host(UK, "host"), lambda: socket.create_connection(("169.254.169.254", 80), timeout=2))
        connection, (caller, _) = metadata.accept()
        client.close()
        connection.close()
    assert caller == UK.host
    assert resolve(host(UK, "host"), f"ssm.{UK.region}.amazonaws.com") == str(settings.AWS_ENDPOINTS)
    assert resolve(host(UK, "host"), settings.MIRROR_HOST) == str(settings.WEB_SERVER)
    assert resolve(host(AU, "host"), "ip-172-31-12-198.ap-southeast-2.compute.internal") == AU.gateway
    assert resolve(host(UK, "host"), "example.com") is None


def test_dhcp_answers_a_virtual_machine_on_its_tap(network: Network) -> None:
    network.apply(article(user_data=b"#cloud-config\n", uk=UK, au=AU))
    (eni,) = [eni for vpc in WORLD.vpcs for eni in vpc.network_interfaces if eni.id == AU.eni_id("gateway")]
    device = open_device(router(AU), names.tap(eni.id), tap=True)
    try:
        wait_for_dhcp(router(AU))
        address, options = dhcp_offer(device, eni.mac_address)
    finally:
        os.close(device)
    assert address == AU.gateway
    assert socket.inet_ntoa(options[3]) == "172.31.12.1"
    assert socket.inet_ntoa(options[6]) == "172.31.0.2"
    assert int.from_bytes(options[26]) == 9001
    assert options[15] == b"ap-southeast-2.compute.internal"
    assert int.from_bytes(options[51]) == 7 * 24 * 3600


def test_the_public_web_server_serves_the_mirror_to_apt(world: World) -> None:
    file = settings.CACHE / "mirror" / "pool" / "a+b~1.deb"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"0123456789")
    with served(0):
        path = "/pool/a+b~1.deb"
        status, headers, body = fetch(str(settings.WEB_SERVER), path)
        assert (status, body) == (200, b"0123456789")
        assert fetch(str(settings.WEB_SERVER), path, Range="bytes=4-")[::2] == (206, b"456789")
        assert fetch(str(settings.WEB_SERVER), path, **{"If-Modified-Since": headers["Last-Modified"]})[0] == 304
        assert fetch(str(settings.WEB_SERVER), "/../ca/ca.key")[0] == 404
        assert b"lab's Internet" in fetch(str(settings.WEB_SERVER), "/")[2]


def test_awss_endpoints_have_a_certificate_of_the_labs_authority(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as api:
        threading.Thread(target=answer_once, args=(api,)).start()
        with served(api.getsockname()[1]):
            trust = ssl.create_default_context(cadata=ca_certificate_pem().decode())
            name = f"ssm.{UK.region}.amazonaws.com"
            raw = call_in(
                host(UK, "gateway"), lambda: socket.create_connection((str(settings.AWS_ENDPOINTS), 443), timeout=5)
            )
            with trust.wrap_socket(raw, server_hostname=name) as connection:
                connection.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
                echo = connection.recv(2000).decode()
                assert f"Host: {name}\r\n" in echo
                # The API receives the address that the caller has on the Internet.
                assert f"\r\n\r\nPROXY TCP4 {UK.elastic_ip} {settings.AWS_ENDPOINTS} " in echo
            with (
                socket.create_connection((str(settings.AWS_ENDPOINTS), 443), timeout=5) as plain,
                pytest.raises(ssl.SSLError),
            ):
                trust.wrap_socket(plain, server_hostname="example.com")
    assert (settings.CACHE / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600


@contextmanager
def served(api_port: int) -> Iterator[None]:
    """Run the servers of the lab's Internet."""
    services = InternetServices(api_port)
    services.start()
    try:
        yield
    finally:
        services.stop()
