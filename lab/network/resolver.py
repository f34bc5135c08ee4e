"""A VPC -> the configuration of its DHCP and DNS server (dnsmasq(8)). Pure.

The server keeps no leases on disk and a change restarts it, so that the lease of an address's former owner never blocks
the next owner.
"""

from ipaddress import IPv4Address

from lab import settings
from lab.network import names
from lab.world import Vpc

LINK_LOCAL_ADDRESS = IPv4Address("169.254.169.253")
"""The DNS server's address in every VPC (VPC guide, AmazonProvidedDNS)."""

_LEASE_TIME = "7d"


def address(vpc: Vpc) -> IPv4Address:
    """Return the address of AmazonProvidedDNS: the base of the VPC's first range plus two (VPC guide)."""
    return vpc.cidr_blocks[0].network_address + 2


def render(vpc: Vpc) -> str:
    """Return the configuration file's text."""
    domain = names.private_domain(vpc.region)
    lines = [
        "keep-in-foreground",
        "log-facility=-",
        "pid-file",
        "user=nobody",
        "no-hosts",
        # No query is forwarded: a name that is unknown here does not exist.
        "no-resolv",
        "no-poll",
        "local=/#/",
        f"except-interface={names.UPLINK}",
        *(
            # With the second line, queries for other record types get an empty answer, because the name exists.
            f"address=/{name}/{server}\nlocal=/{name}/"
            for name, server in (("amazonaws.com", settings.AWS_ENDPOINTS), (settings.MIRROR_HOST, settings.WEB_SERVER))
        ),
        *(f"synth-domain={domain},{cidr_block},ip-" for cidr_block in vpc.cidr_blocks),
        "dhcp-authoritative",
        "dhcp-no-override",
        "no-ping",
        "leasefile-ro",
        "quiet-dhcp",
        f"domain={domain}",
        f"dhcp-option=option:dns-server,{address(vpc)}",
        f"dhcp-option=option:mtu,{settings.INTERNAL_MTU}",
    ]
    for subnet in vpc.subnets:
        network = subnet.cidr_block
        lines += [
            f"dhcp-range=set:{subnet.id},{network.network_address},static,{network.netmask},{_LEASE_TIME}",
            f"dhcp-option=tag:{subnet.id},option:router,{network.network_address + 1}",
        ]
    for interface in sorted(vpc.network_interfaces, key=lambda interface: interface.id):
        host = f"ip-{str(interface.private_ip).replace('.', '-')}"
        lines.append(f"dhcp-host={interface.mac_address},{interface.private_ip},{host},{_LEASE_TIME}")
    return "\n".join(lines) + "\n"
