"""Refuses at preview a subnet whose range another subnet of the VPC still has; names hosts that are in the way."""

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pulumi
from pulumi.resource_hooks import ResourceHookFunction
from pulumi_aws import ec2

from .hooks import hook, known
from .scope import Scope


def look_at_taken_ranges(scope: Scope, thing: str, probe_host: IPv4Address | None) -> pulumi.ResourceOptions:
    """Return options of a subnet: at preview, before it is created, AWS is asked what its VPC has in its range.

    AWS refuses a subnet that overlaps one of the same VPC (Amazon EC2 API reference, "CreateSubnet"). Pulumi creates
    what is new before it deletes what is no longer wanted, and learns of the refusal in the middle of an update. A
    subnet that is replaced is deleted first, for which its hosts have to go; the gateway's and the probe host's do.
    """
    check = hook(scope.name(f"{thing}-taken-range"), _check(scope, thing, probe_host))
    return pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_create=check))


def _check(scope: Scope, thing: str, probe_host: IPv4Address | None) -> ResourceHookFunction:
    lookups = _Lookups(scope)
    own, gateway = scope.tags(thing)["Name"], scope.tags("gateway-interface")["Name"]

    async def check(args: pulumi.ResourceHookArgs) -> None:
        # Later, subnets come and go while they are looked up, and AWS itself refuses.
        if not pulumi.runtime.is_dry_run():
            return
        inputs = args.new_inputs or {}
        vpc_id, wanted = await known(inputs.get("vpcId")), IPv4Network(inputs["cidrBlock"])
        # At preview, a VPC that is to be created has no id, and no subnets.
        for subnet in await lookups.subnets(vpc_id) if vpc_id else []:
            there = IPv4Network(subnet.cidr_block)
            if not there.overlaps(wanted):
                continue
            if subnet.tags.get("Name") != own:
                raise RangeTakenError(_refusal(scope.site, wanted, there, subnet))
            hosts = [
                f"{each.id} ({each.private_ip}{', ' + each.description if each.description else ''})"
                for each in await lookups.interfaces(subnet.id)
                if each.private_ip != str(probe_host) and each.tags.get("Name") != gateway
            ]
            if hosts:
                pulumi.log.warn(_warning(there, subnet.id, hosts), scope.parent)

    return check


class RangeTakenError(Exception):
    """Another subnet of the VPC has the range, or a part of it."""


def _refusal(site: str, wanted: IPv4Network, there: IPv4Network, subnet: ec2.GetSubnetResult) -> str:
    whose = subnet.tags.get("Name", "without a name")
    return (
        f"{site}: subnet {wanted} cannot be created: {subnet.vpc_id} has {there} ({subnet.id}, {whose}), and AWS takes "
        f"each address once. Take {there} out of the settings, `pulumi up`, then add {wanted}, `pulumi up` again."
    )


def _warning(there: IPv4Network, subnet_id: str, hosts: Sequence[str]) -> str:
    return (
        f"subnet {there} ({subnet_id}) is deleted before the new one is created, and AWS deletes none with a network "
        f"interface in it. It has {', '.join(hosts)}. Pulumi deletes first what this program has made from the "
        "subnet's id; remove all else before `pulumi up`."
    )


class _Lookups:
    """What AWS is asked, as the side's provider."""

    def __init__(self, scope: Scope) -> None:
        self._options = pulumi.InvokeOutputOptions(parent=scope.parent)

    async def subnets(self, vpc_id: str) -> list[ec2.GetSubnetResult]:
        of_vpc = ec2.GetSubnetsFilterArgs(name="vpc-id", values=[vpc_id])
        found = await _result(ec2.get_subnets_output(filters=[of_vpc], opts=self._options))
        return await self._each(ec2.get_subnet_output, found.ids)

    async def interfaces(self, subnet_id: str) -> list[ec2.GetNetworkInterfaceResult]:
        of_subnet = ec2.GetNetworkInterfacesFilterArgs(name="subnet-id", values=[subnet_id])
        found = await _result(ec2.get_network_interfaces_output(filters=[of_subnet], opts=self._options))
        return await self._each(ec2.get_network_interface_output, found.ids)

    async def _each(self, lookup: Any, ids: Sequence[str]) -> list[Any]:
        return list(await asyncio.gather(*(_result(lookup(id=each, opts=self._options)) for each in ids)))


async def _result(output: pulumi.Output[Any]) -> Any:
    return await output.future()
