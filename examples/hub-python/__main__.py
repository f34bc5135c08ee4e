"""A hub: a gateway with a tunnel to each of several sites, each in its own region."""

from typing import NamedTuple

import pulumi
import pulumi_aws as aws
import pulumi_random as random
import pulumi_tls as tls
from vpn_gateway_pair import PeerArgs, VpnGateway, VpnGatewayArgs


class Site(NamedTuple):
    """One end of a tunnel."""

    region: str
    cidr_block: str
    gateway_private_ip: str


HUB = "uk"
SITES = {
    HUB: Site("eu-west-2", "10.1.0.0/16", "10.1.0.254"),
    "au": Site("ap-southeast-2", "172.31.0.0/16", "172.31.0.254"),
    "us": Site("us-east-1", "10.8.0.0/16", "10.8.0.254"),
}

config = pulumi.Config()
spokes: list[str] = config.require_object("spokes")
if unknown := set(spokes) - (SITES.keys() - {HUB}):
    raise ValueError(f"spokes: {', '.join(sorted(unknown))}: only au and us have a site")
tunnels = {HUB: spokes, **{spoke: [HUB] for spoke in spokes}}

ssh_key = tls.PrivateKey("ssh-key", algorithm="ED25519")
shared_keys = {
    name: random.RandomPassword(
        name,
        length=64,
        special=False,
        opts=pulumi.ResourceOptions(additional_secret_outputs=["result", "bcrypt_hash"]),
    ).result
    for name in ("psk", "ppk")
}
providers = {site: aws.Provider(f"aws-{site}", region=SITES[site].region) for site in tunnels}
# Each gateway has to know the addresses of the others, so the addresses come first.
addresses = {
    site: aws.ec2.Eip(
        f"address-{site}",
        domain="vpc",
        tags={"Name": f"{site}-gateway"},
        opts=pulumi.ResourceOptions(provider=providers[site]),
    )
    for site in tunnels
}


def peer(site: str) -> PeerArgs:
    """Return a site as the other end of a tunnel."""
    return {
        "name": site,
        "public_ip": addresses[site].public_ip,
        "private_ip": SITES[site].gateway_private_ip,
        "cidr_blocks": [SITES[site].cidr_block],
    }


def gateway(site: str) -> VpnGateway:
    """Create the gateway of a site, with a tunnel to each of its peers."""
    args: VpnGatewayArgs = {
        "name": site,
        "cidr_block": SITES[site].cidr_block,
        "gateway_private_ip": SITES[site].gateway_private_ip,
        "allocation_id": addresses[site].allocation_id,
        "peers": [peer(each) for each in tunnels[site]],
        "psk": shared_keys["psk"],
        "ppk": shared_keys["ppk"],
        "ssh_public_key": ssh_key.public_key_openssh,
        "administrator_cidr_blocks": config.require_object("administratorCidrBlocks"),
    }
    if config.require_bool("verify"):
        args["ssh_private_key"] = ssh_key.private_key_openssh
    return VpnGateway(site, args, pulumi.ResourceOptions(providers={"aws": providers[site]}))


gateways = {site: gateway(site) for site in tunnels}

pulumi.export("gateways", {site: each.public_ip for site, each in gateways.items()})
pulumi.export("private_subnets", {site: each.private_subnet_ids[0] for site, each in gateways.items()})
