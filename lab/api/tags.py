"""Tags: deleted resources have none, and DHCP options are created with theirs."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from moto.core.responses import ActionResult
from moto.ec2.models import EC2Backend
from moto.ec2.responses import EC2Response

from lab.api.corrections import corrects

_EXISTING_IDS: Final[Mapping[str, Callable[[Any], Collection[str]]]] = {
    "eipalloc": lambda backend: {each.allocation_id for each in backend.describe_addresses()},
    "eni": lambda backend: backend.enis,
    "igw": lambda backend: backend.internet_gateways,
    "key": lambda backend: {each.id for each in backend.key_pairs.values()},
    "rtb": lambda backend: backend.route_tables,
    "sg": lambda backend: {group for groups in backend.groups.values() for group in groups},
    "sgr": lambda backend: {rule.id for rule in _rules(backend)},
    "subnet": lambda backend: {subnet for zone in backend.subnets.values() for subnet in zone},
    "vol": lambda backend: backend.volumes,
    "vpc": lambda backend: backend.vpcs,
}
"""Prefix of an id -> the existing ids with it. Instances are left out: terminated ones keep their tags for a while."""


class TagResponse(EC2Response):
    """DescribeTags and CreateDhcpOptions."""

    @corrects("A deleted resource has no tags.", "AWSEC2/latest/APIReference/API_DescribeTags.html")
    def describe_tags(self) -> ActionResult:
        answer: Any = super().describe_tags().result
        existing_ids = {prefix: collect(self.ec2_backend) for prefix, collect in _EXISTING_IDS.items()}

        def exists(resource_id: str) -> bool:
            prefix = resource_id.partition("-")[0]
            return prefix not in existing_ids or resource_id in existing_ids[prefix]

        return ActionResult({"Tags": [tag for tag in answer["Tags"] if exists(tag["resource_id"])]})

    @corrects("DHCP options are created with tags.", "AWSEC2/latest/APIReference/API_CreateDhcpOptions.html")
    def create_dhcp_options(self) -> ActionResult:
        created = super().create_dhcp_options()
        options: Any = created.result
        options["DhcpOptions"].add_tags(self._parse_tag_specification().get("dhcp-options", {}))
        return created


def _rules(backend: EC2Backend) -> list[Any]:
    groups = [group for groups in backend.groups.values() for group in groups.values()]
    return [rule for group in groups for rule in (*group.ingress_rules, *group.egress_rules)]
