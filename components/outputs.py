"""The outputs of a site: those of a `VpnGateway`, and of each side of a `VpnGatewayPair`."""

from typing import Any, NotRequired, TypedDict, TypeVar, get_type_hints

import pulumi

ComponentT = TypeVar("ComponentT", bound=type[pulumi.ComponentResource])


class SiteOutputs(TypedDict):
    """The ids and addresses of one site, for other resources."""

    vpc_id: pulumi.Output[str]
    """Id of the VPC."""

    public_subnet_id: pulumi.Output[str]
    """Id of the gateway's subnet."""

    private_subnet_ids: pulumi.Output[list[str]]
    """Ids of the private subnets, in the order of their CIDR blocks in the arguments. In an existing network: of the
    subnets that are associated with the route tables in the arguments.
    """

    public_route_table_id: pulumi.Output[str]
    """Id of the route table of the public subnet. It leads to the Internet gateway, and never to a peer's range."""

    private_route_table_ids: pulumi.Output[list[str]]
    """Ids of the route tables with routes to the gateway's network interface: one for all private subnets, or those of
    the existing network.
    """

    internet_gateway_id: pulumi.Output[str]
    """Id of the Internet gateway that the default route of the public subnet leads to."""

    network_interface_id: pulumi.Output[str]
    """Id of the gateway's network interface, which outlives the instance. Additional routes can lead to it."""

    public_ip: pulumi.Output[str]
    """Elastic IP of the gateway, which outlives the instance."""

    private_ip: pulumi.Output[str]
    """Private IPv4 address of the gateway."""

    gateway_security_group_id: pulumi.Output[str]
    """Id of the security group of the gateway."""

    private_hosts_security_group_id: pulumi.Output[str]
    """Id of a security group for private hosts, which admits their own VPC and the ranges of the peers."""

    instance_id: pulumi.Output[str]
    """Id of the gateway's instance. It changes when the instance is replaced."""

    probe_host_instance_id: NotRequired[pulumi.Output[str]]
    """Id of the probe host's instance. Absent without a probe host."""

    connection_names: pulumi.Output[list[str]]
    """Names of the IPsec connections on the gateway, e.g. `uk-to-au`. Empty without peers."""

    ssh_command: pulumi.Output[str]
    """Command that logs in to the gateway with the private key in the file `KEY`."""

    ssh_host_public_key: pulumi.Output[str]
    """SSH host key of the gateway: one line."""

    verify_command: pulumi.Output[str]
    """Command that verifies the gateway and its tunnels, with the private key in the file `KEY`. It runs `vpn-verify`,
    which the proof of a `VpnGatewayPair` installs, and a `VpnGateway` with `ssh_private_key`.
    """


def has_site_outputs(component: ComponentT) -> ComponentT:
    """Annotate a component class with `SiteOutputs`: Pulumi's analyzer takes the outputs from a class's annotations."""
    hints: dict[str, Any] = get_type_hints(SiteOutputs)
    component.__annotations__ = {
        name: hint | None if name in SiteOutputs.__optional_keys__ else hint for name, hint in hints.items()
    }
    return component
