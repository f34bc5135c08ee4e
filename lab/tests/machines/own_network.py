"""The article's two sites with separate names and addresses, so that the tests do not touch a lab's network."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from lab import processes, settings
from lab.network import names
from lab.tests.machines.network_tools import tunnel
from lab.tests.network_world import AU as ARTICLE_AU
from lab.tests.network_world import UK as ARTICLE_UK
from lab.tests.network_world import Side, article

UK = replace(ARTICLE_UK, elastic_ip="198.19.113.10")
AU = replace(ARTICLE_AU, elastic_ip="198.19.100.20")
WORLD = article(uk=UK, au=AU)


@contextmanager
def own_settings(prefix: str, scratch: Path) -> Iterator[pytest.MonkeyPatch]:
    """Use namespaces with a prefix, address ranges of the tests, and logs and records in a scratch directory."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "NAMESPACE_PREFIX": prefix,
            "INTERNET_NAMESPACE": f"{prefix}internet",
            "ELASTIC_IP_POOLS": (IPv4Network("198.19.113.0/24"), IPv4Network("198.19.100.0/24")),
            "INTERNET": IPv4Network("198.19.0.0/24"),
            "ADMINISTRATOR": IPv4Address("198.19.0.10"),
            "ADMINISTRATOR_GATEWAY": IPv4Address("198.19.0.9"),
            "WEB_SERVER": IPv4Address("198.19.0.80"),
            "AWS_ENDPOINTS": IPv4Address("198.19.0.81"),
            "VPC_UPLINKS": IPv4Network("198.19.0.128/25"),
            "RUN": scratch / "run",
            "LOGS": scratch / "logs",
        }.items():
            patch.setattr(settings, name, value)
        patch.setattr(processes, "_RECORDS", settings.RUN / "processes")
        yield patch


def host(side: Side, role: str) -> str:
    """Return the namespace of a side's `gateway` or `host`."""
    return names.host_namespace(side.instance_id(role))


def router(side: Side) -> str:
    """Return the namespace of a side's VPC."""
    return names.vpc_namespace(side.vpc_id)


@contextmanager
def joined() -> Iterator[None]:
    """Join the two networks with a tunnel between the gateways' Elastic IPs."""
    with ExitStack() as stack:
        for side, peer in ((UK, AU), (AU, UK)):
            stack.enter_context(
                tunnel(host(side, "gateway"), local=side.gateway, remote=peer.elastic_ip, network=peer.cidr_block)
            )
        yield
