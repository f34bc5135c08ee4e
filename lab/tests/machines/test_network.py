"""The lab's network with real packets: namespaces are the machines, no virtual machine is started (seconds).

Proves routes, translation, security groups, source/destination check, MTU, TTL, DHCP, DNS, repair and removal on this
kernel. Does not prove IPsec, nor anything about AWS itself. Run: `pytest lab/tests/machines/test_network.py` as root,
with a prefix and address ranges of its own. Clean-up by hand: `ip netns` names starting with `labtest-`, and the
interface `labtest-admin`.
"""

import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from lab import processes, settings
from lab.network import Network, names, namespaces, teardown
from lab.network.certificates import ca_certificate_pem
from lab.network.internet import InternetServices
from lab.network.sockets import call_in, listen
from lab.tests.machines.network_tools import (
    answer,
    answer_once,
    answers,
    capture,
    dhcp_offer,
    drops,
    fetch,
    forward,
    open_device,
    ping,
    resolve,
    tunnel,
    udp_client,
    udp_echo,
    wait_for_dhcp,
)
from lab.tests.network_world import AU as ARTICLE_AU
from lab.tests.network_world import UK as ARTICLE_UK
from lab.tests.network_world import article, rule, with_interface, with_rules
from lab.world import World

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

UK = replace(ARTICLE_UK, elastic_ip="198.19.113.10")
AU = replace(ARTICLE_AU, elastic_ip="198.19.100.20")
WORLD = article(uk=UK, au=AU)


@pytest.fixture(scope="module", autouse=True)
def own_names_and_ranges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    scratch = tmp_path_factory.mktemp("network")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "NAMESPACE_PREFIX": "labtest-",
            "INTERNET_NAMESPACE": "labtest-internet",
            "ELASTIC_IP_POOLS": (IPv4Network("198.19.113.0/24"), IPv4Network("198.19.100.0/24")),
            "INTERNET": IPv4Network("198.19.0.0/24"),
            "ADMINISTRATOR": IPv4Address("198.19.0.10"),
            "ADMINISTRATOR_GATEWAY": IPv4Address("198.19.0.9"),
            "WEB_SERVER": IPv4Address("198.19.0.80"),
            "AWS_ENDPOINTS": IPv4Address("198.19.0.81"),
            "VPC_UPLINKS": IPv4Network("198.19.0.128/25"),
            "RUN": scratch / "run",
            "LOGS": scratch / "logs",
            "CACHE": scratch / "cache",
        }.items():
            patch.setattr(settings, name, value)
        patch.setattr(processes, "_RECORDS", settings.RUN / "processes")
        yield
        teardown.remove()


@pytest.fixture(scope="module")
def network() -> Network:
    teardown.remove()
    return Network()


@pytest.fixture
def world(network: Network) -> World:
    """Put the article's world in force, as if nothing had happened before."""
    network.apply(WORLD)
    for side in (UK, AU):
        forward(host(side, "gateway"))
    return WORLD


def host(side: object, role: str) -> str:
    assert isinstance(side, type(UK))
    return names.host_namespace(side.instance_id(role))


UK_VPC_ID, AU_VPC_ID = UK.vpc_id, AU.vpc_id


@contextmanager
def joined() -> Iterator[None]:
    """Both gateways carry each other's network to the other's Elastic IP."""
    with ExitStack() as stack:
        for here, there in ((UK, AU), (AU, UK)):
            stack.enter_context(
                tunnel(host(here, "gateway"), local=here.gateway, remote=there.elastic_ip, network=there.cidr_block)
            )
        yield


def test_it_is_made_from_nothing_in_two_seconds_and_left_alone_in_fifty_milliseconds(network: Network) -> None:
    teardown.remove()
    started = time.monotonic()
    network.apply(WORLD)
    made = time.monotonic()
    network.apply(WORLD)
    unchanged = time.monotonic()
    print(f"apply from nothing {made - started:.3f} s, without a change {unchanged - made:.4f} s")
    assert made - started <= 2.0
    assert unchanged - made <= 0.05


def test_private_hosts_cannot_meet_without_a_tunnel_and_the_leak_is_counted(world: World) -> None:
    before = drops(names.vpc_namespace(UK_VPC_ID), "no_elastic_ip")
    with capture(settings.INTERNET_NAMESPACE) as seen:
        assert ping(host(UK, "host"), AU.host).received == 0
    assert drops(names.vpc_namespace(UK_VPC_ID), "no_elastic_ip") == before + 1
    assert seen == set()


def test_private_hosts_ping_each_other_through_both_gateways_with_ttl_62(world: World) -> None:
    with joined(), capture(settings.INTERNET_NAMESPACE) as seen:
        there = ping(host(UK, "host"), AU.host, count=3)
        back = ping(host(AU, "host"), UK.host, count=3)
    assert (there.received, there.ttl) == (3, 62), there.output
    assert (back.received, back.ttl) == (3, 62), back.output
    assert seen == {(UK.elastic_ip, AU.elastic_ip, 17, 4500), (AU.elastic_ip, UK.elastic_ip, 17, 4500)}


def test_the_vpc_router_is_no_hop(world: World) -> None:
    for initial in ("1", "64", "128", "255"):
        assert ping(host(UK, "host"), UK.gateway, "-t", initial).received == 1
    received = call_in(host(UK, "gateway"), lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    with received:
        received.settimeout(2)
        ping(host(UK, "host"), UK.gateway, "-t", "255")
        assert received.recv(2000)[8] == 255


def test_the_administrator_reaches_an_elastic_ip_from_its_own_address(world: World) -> None:
    with capture(host(UK, "gateway")) as seen:
        assert ping(None, UK.elastic_ip).received == 1
    assert (str(settings.ADMINISTRATOR), UK.gateway, 1, 0) in seen


def test_an_elastic_ip_that_nobody_has_is_silent(world: World) -> None:
    assert ping(None, "198.19.113.99").received == 0


def test_jumbo_frames_pass_inside_and_the_router_asks_for_less_at_the_uplink(world: World) -> None:
    assert ping(host(UK, "host"), UK.gateway, "-M", "do", "-s", "8973").received == 1
    outside = ping(host(UK, "gateway"), AU.elastic_ip, "-M", "do", "-s", "1473")
    assert outside.received == 0
    assert "mtu = 1500" in outside.output
    assert ping(host(UK, "gateway"), AU.elastic_ip, "-M", "do", "-s", "1472").received == 1


def test_a_missing_ingress_rule_drops_new_flows_and_keeps_the_known_one(network: Network, world: World) -> None:
    with udp_echo(host(UK, "host"), UK.host) as port:
        known, new = (udp_client(host(UK, "gateway"), UK.host, port) for _ in range(2))
        with known, new:
            assert answers(known)
            assert answers(known)
            network.apply(with_rules(world, "sg-host-uk", [rule(egress=True)]))
            before = drops(names.vpc_namespace(UK_VPC_ID), "security_group_ingress")
            assert answers(known)
            assert not answers(new)
            assert drops(names.vpc_namespace(UK_VPC_ID), "security_group_ingress") == before + 1


def test_a_missing_egress_rule_drops_what_the_instance_starts_and_lets_it_answer(
    network: Network, world: World
) -> None:
    network.apply(with_rules(world, "sg-host-uk", [rule()]))
    before = drops(names.vpc_namespace(UK_VPC_ID), "security_group_egress")
    assert ping(host(UK, "host"), UK.gateway).received == 0
    assert ping(host(UK, "gateway"), UK.host).received == 1
    assert drops(names.vpc_namespace(UK_VPC_ID), "security_group_egress") == before + 1


def test_a_group_reference_admits_the_members_of_that_group_only(network: Network, world: World) -> None:
    allowed = with_rules(world, "sg-host-uk", [rule(peer="sg-gateway-uk"), rule(egress=True)])
    network.apply(allowed)
    assert ping(host(UK, "gateway"), UK.host).received == 1
    network.apply(with_interface(allowed, UK.eni_id("gateway"), security_group_ids=("sg-host-uk",)))
    assert ping(host(UK, "gateway"), UK.host, "-s", "57").received == 0


def test_the_destination_check_keeps_a_gateway_from_being_one(network: Network, world: World) -> None:
    network.apply(with_interface(world, UK.eni_id("gateway"), source_dest_check=True))
    vpc_namespace = names.vpc_namespace(UK_VPC_ID)
    before = drops(vpc_namespace, "destination_check")
    with joined():
        assert ping(host(UK, "host"), AU.host).received == 0
    assert drops(vpc_namespace, "destination_check") == before + 1


def test_the_source_check_keeps_foreign_sources_out(network: Network, world: World) -> None:
    network.apply(with_interface(world, UK.eni_id("gateway"), source_dest_check=True))
    before = drops(names.vpc_namespace(UK_VPC_ID), "source_check")
    with joined():
        assert ping(host(AU, "host"), UK.host).received == 0
    assert drops(names.vpc_namespace(UK_VPC_ID), "source_check") == before + 1


def test_a_moved_elastic_ip_takes_a_running_flow_with_it(network: Network, world: World) -> None:
    # Both answer with their own address; the client keeps one socket, so one flow, all the time.
    with udp_echo(host(UK, "gateway"), UK.gateway, 4500), udp_echo(host(UK, "host"), UK.host, 4500):
        public = with_route_to_internet(world)
        network.apply(public)
        with udp_client(None, UK.elastic_ip, 4500) as client:
            assert answer(client) == UK.gateway
            moved = with_interface(public, UK.eni_id("gateway"), public_ip=None)
            network.apply(with_interface(moved, UK.eni_id("host"), public_ip=IPv4Address(UK.elastic_ip)))
            assert answer(client) == UK.host
            network.apply(with_interface(moved, UK.eni_id("host"), public_ip=None))
            assert answer(client) is None


def test_metadata_and_dns_answer_whatever_the_security_groups_say(network: Network, world: World) -> None:
    network.apply(with_rules(world, "sg-host-uk", []))
    with listen(names.vpc_namespace(UK_VPC_ID), "169.254.169.254", 80) as metadata:
        client = call_in(host(UK, "host"), lambda: socket.create_connection(("169.254.169.254", 80), timeout=2))
        connection, (caller, _) = metadata.accept()
        client.close()
        connection.close()
    assert caller == UK.host
    assert resolve(host(UK, "host"), f"ssm.{UK.region}.amazonaws.com") == str(settings.AWS_ENDPOINTS)
    assert resolve(host(UK, "host"), settings.MIRROR_HOST) == str(settings.WEB_SERVER)
    assert resolve(host(AU, "host"), "ip-172-31-12-198.ap-southeast-2.compute.internal") == AU.gateway
    assert resolve(host(UK, "host"), "example.com") is None


def test_nobody_asks_for_metadata_in_anothers_name(world: World) -> None:
    before = drops(names.vpc_namespace(UK_VPC_ID), "metadata_spoofed")
    gateway = host(UK, "gateway")
    subprocess.run(["ip", "-n", gateway, "address", "add", f"{UK.host}/32", "dev", "lo"], check=True)
    try:
        assert ping(gateway, "169.254.169.254", "-I", UK.host).received == 0
    finally:
        subprocess.run(["ip", "-n", gateway, "address", "del", f"{UK.host}/32", "dev", "lo"], check=True)
    assert drops(names.vpc_namespace(UK_VPC_ID), "metadata_spoofed") == before + 1


def test_dhcp_answers_a_virtual_machine_on_its_tap(network: Network) -> None:
    network.apply(article(user_data=b"#cloud-config\n", uk=UK, au=AU))
    (eni,) = [e for vpc in WORLD.vpcs for e in vpc.network_interfaces if e.id == AU.eni_id("gateway")]
    device = open_device(names.vpc_namespace(AU_VPC_ID), names.tap(eni.id), tap=True)
    try:
        wait_for_dhcp(names.vpc_namespace(AU_VPC_ID))
        address, options = dhcp_offer(device, eni.mac_address)
    finally:
        os.close(device)
    assert address == AU.gateway
    assert socket.inet_ntoa(options[3]) == "172.31.12.1"
    assert socket.inet_ntoa(options[6]) == "172.31.0.2"
    assert int.from_bytes(options[26]) == 9001
    assert options[15] == b"ap-southeast-2.compute.internal"
    assert int.from_bytes(options[51]) == 7 * 24 * 3600


def test_two_machines_of_one_subnet_meet_only_at_the_router(network: Network, world: World) -> None:
    # The gateway's subnet becomes the host's: one more link with the same router address.
    side = world.vpcs[0]
    moved = with_interface(world, UK.eni_id("host"), subnet_id=side.subnets[0].id, private_ip=IPv4Address("10.1.1.41"))
    network.apply(moved)
    assert ping(host(UK, "host"), UK.gateway).received == 1
    network.apply(with_rules(moved, "sg-gateway-uk", [rule(egress=True)]))
    assert ping(host(UK, "host"), UK.gateway).received == 0


def test_what_was_broken_by_hand_is_repaired_by_the_next_apply(network: Network, world: World) -> None:
    processes.stop(names.dnsmasq_process(names.vpc_namespace(UK_VPC_ID)))
    subprocess.run(["ip", "netns", "delete", host(UK, "host")], check=True)
    subprocess.run(["ip", "-n", names.vpc_namespace(AU_VPC_ID), "link", "delete", "uplink"], check=True)
    network.apply(world)
    assert processes.find(names.dnsmasq_process(names.vpc_namespace(UK_VPC_ID))) is not None
    forward(host(UK, "gateway"))
    with joined():
        assert ping(host(UK, "host"), AU.host).received == 1


def test_a_new_daemon_takes_over_what_an_older_one_left(world: World) -> None:
    with joined():
        Network().apply(world)
        assert ping(host(UK, "host"), AU.host).received == 1


def test_a_failed_step_leaves_the_rest_in_force_and_is_made_good_later(
    network: Network, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.network.services._NFT", "/bin/false")
    changed = with_rules(world, "sg-host-au", [rule(), rule(egress=True), rule(protocol=6, ports=(22, 22))])
    with pytest.raises(ExceptionGroup, match="could not be created completely"):
        network.apply(changed)
    monkeypatch.undo()
    network.apply(changed)
    listing = ["ip", "netns", "exec", names.vpc_namespace(AU_VPC_ID), "nft", "list", "chain", "ip", "lab", "ingress"]
    assert "dport 22" in subprocess.run(listing, capture_output=True, text=True, check=True).stdout


def test_a_terminated_instance_takes_its_namespace_and_link_along(network: Network, world: World) -> None:
    network.apply(replace(world, instances=tuple(i for i in world.instances if i.id != UK.instance_id("host"))))
    assert host(UK, "host") not in namespaces.present()
    links = subprocess.run(
        ["ip", "-n", names.vpc_namespace(UK_VPC_ID), "link"], capture_output=True, text=True, check=True
    ).stdout
    assert names.tap(UK.eni_id("host")) not in links
    assert names.tap(UK.eni_id("gateway")) in links


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


def test_aws_names_answer_by_tls_with_a_certificate_of_the_labs_authority(world: World) -> None:
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
                said = connection.recv(2000).decode()
                assert f"Host: {name}\r\n" in said
                # The API learns the address that the caller has on the Internet.
                assert f"\r\n\r\nPROXY TCP4 {UK.elastic_ip} {settings.AWS_ENDPOINTS} " in said
            with (
                socket.create_connection((str(settings.AWS_ENDPOINTS), 443), timeout=5) as plain,
                pytest.raises(ssl.SSLError),
            ):
                trust.wrap_socket(plain, server_hostname="example.com")
    assert (settings.CACHE / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600


def test_teardown_leaves_nothing_and_may_come_twice(network: Network, world: World) -> None:
    removed = teardown.remove()
    assert f"namespace {settings.INTERNET_NAMESPACE}" in removed
    assert f"interface {names.administrator_link()}" in removed
    assert teardown.remove() == []
    assert namespaces.present() == set()
    assert processes.names("network-") == []
    assert not Path("/sys/class/net", names.administrator_link()).exists()
    routes = subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout
    assert not any(str(pool) in routes for pool in settings.ELASTIC_IP_POOLS)
    network.apply(world)
    assert ping(None, UK.elastic_ip).received == 1


# Helpers that know this file's addresses; what knows none is in network_tools.


def with_route_to_internet(world: World) -> World:
    """Return the world with the private subnet on the public route table: an Elastic IP can work there."""
    side = world.vpcs[0]
    subnets = tuple(replace(subnet, route_table_id="rtb-public-uk") for subnet in side.subnets)
    return replace(world, vpcs=(replace(side, subnets=subnets), *world.vpcs[1:]))


@contextmanager
def served(api_port: int) -> Iterator[None]:
    services = InternetServices(api_port)
    services.start()
    try:
        yield
    finally:
        services.stop()
