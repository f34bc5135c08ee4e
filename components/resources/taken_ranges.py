"""Refuses at preview a subnet whose range another subnet of the VPC still has, and names hosts that must go first."""

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pulumi
from pulumi.resource_hooks import ResourceHookFunction
from pulumi_aws import ec2

from .hooks import hook, known
from .scope import Scope


def check_taken_ranges(scope: Scope, subnet_name: str, probe_host: IPv4Address | None) -> pulumi.ResourceOptions:
    """Return resource options with which a preview, before it creates a subnet, asks AWS what has its range.

    AWS refuses a subnet that overlaps another one of the same VPC (Amazon EC2 API reference, "CreateSubnet"). Pulumi
    creates new resources before it deletes old ones, so without the check the refusal would come in the middle of an
    update. A subnet that is replaced is deleted first. Its hosts have to be gone by then; Pulumi removes the gateway
    and the probe host itself.
    """
    check = hook(scope.name(f"{subnet_name}-taken-range"), _check(scope, subnet_name, probe_host))
    return pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_create=check))


def _check(scope: Scope, subnet_name: str, probe_host: IPv4Address | None) -> ResourceHookFunction:
    lookups = _Lookups(scope)
    own, gateway = scope.tags(subnet_name)["Name"], scope.tags("gateway-interface")["Name"]

    async def check(args: pulumi.ResourceHookArgs) -> None:
        # During an update, subnets are created and deleted while they are looked up, and AWS itself refuses.
        if not pulumi.runtime.is_dry_run():
            return
        inputs = args.new_inputs or {}
        vpc_id, wanted = await known(inputs.get("vpcId")), IPv4Network(inputs["cidrBlock"])
        # At preview, a VPC that is to be created has no id and no subnets.
        for subnet in await lookups.subnets(vpc_id) if vpc_id else []:
            existing = IPv4Network(subnet.cidr_block)
            if not existing.overlaps(wanted):
                continue
            if subnet.tags.get("Name") != own:
                raise RangeTakenError(_refusal(scope.site, wanted, existing, subnet))
            hosts = [
                f"{each.id} ({each.private_ip}{', ' + each.description if each.description else ''})"
                for each in await lookups.interfaces(subnet.id)
                if each.private_ip != str(probe_host) and each.tags.get("Name") != gateway
            ]
            if hosts:
                pulumi.log.warn(_warning(existing, subnet.id, hosts), scope.parent)

    return check


class RangeTakenError(Exception):
    """Another subnet of the VPC has the range or a part of it."""


def _refusal(site: str, wanted: IPv4Network, existing: IPv4Network, subnet: ec2.GetSubnetResult) -> str:
    name = subnet.tags.get("Name", "without a name")
    return (
        f"{site}: subnet {wanted} cannot be created: {subnet.vpc_id} has {existing} ({subnet.id}, {name}), and AWS "
        f"takes each address once. Remove {existing} from the settings, run `pulumi up`, then add {wanted} and run "
        "`pulumi up` again."
    )


def _warning(existing: IPv4Network, subnet_id: str, hosts: Sequence[str]) -> str:
    return (
        f"subnet {existing} ({subnet_id}) is deleted before the new one is created, and AWS deletes no subnet that has "
        f"network interfaces. It has {', '.join(hosts)}. Pulumi itself first deletes the resources that this program "
        "makes from the subnet's id; remove all others before `pulumi up`."
    )


class _Lookups:
    """Looks up subnets and network interfaces in AWS, with the side's provider."""

    def __init__(self, scope: Scope) -> None:
        self._options = pulumi.InvokeOutputOptions(parent=scope.parent)

    async def subnets(self, vpc_id: str) -> list[ec2.GetSubnetResult]:
        of_vpc = ec2.GetSubnetsFilterArgs(name="vpc-id", values=[vpc_id])
        subnets = await _result(ec2.get_subnets_output(filters=[of_vpc], opts=self._options))
        return await self._each(ec2.get_subnet_output, subnets.ids)

    async def interfaces(self, subnet_id: str) -> list[ec2.GetNetworkInterfaceResult]:
        of_subnet = ec2.GetNetworkInterfacesFilterArgs(name="subnet-id", values=[subnet_id])
        interfaces = await _result(ec2.get_network_interfaces_output(filters=[of_subnet], opts=self._options))
        return await self._each(ec2.get_network_interface_output, interfaces.ids)

    async def _each(self, lookup: Any, ids: Sequence[str]) -> list[Any]:
        return list(await asyncio.gather(*(_result(lookup(id=each, opts=self._options)) for each in ids)))


async def _result(output: pulumi.Output[Any]) -> Any:
    return await output.future()
