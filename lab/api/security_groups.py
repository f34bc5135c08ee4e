"""Security group rules: any IP protocol, canonical CIDR blocks, and requests that add all of their rules or none."""

from ipaddress import ip_network
from typing import Any, Final

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.ec2.models import EC2Backend
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule
from moto.ec2.responses import EC2Response

from lab.api.corrections import Call, corrects, refuses
from lab.api.errors import ec2_error

_NAMED_PROTOCOLS: Final = frozenset({"tcp", "udp", "icmp", "icmpv6", "-1", "all"})
_PORT_PROTOCOLS: Final = frozenset({"tcp", "udp", "6", "17"})


class AnyProtocolRule(SecurityGroupRule):
    """A rule for any IP protocol; the ports are -1 for all ports and for protocols without ports."""

    def __init__(
        self,
        ec2_backend: Any,
        ip_protocol: str,
        group_id: str,
        from_port: str | None,
        to_port: str | None,
        ip_range: dict[str, str] | None,
        source_group: dict[str, str] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            ec2_backend,
            ip_protocol,
            group_id,
            "-1" if from_port is None else from_port,
            "-1" if to_port is None else to_port,
            _canonical_range(ip_range),
            source_group,
            *args,
            **kwargs,
        )

    @property
    @corrects(
        "Every kind of rule can have a description.",
        "AWSEC2/latest/APIReference/API_SecurityGroupRule.html",
    )
    def description(self) -> str | None:
        return self.ip_range.get("Description") or self.source_group.get("Description")

    @corrects(
        "Two rules with the same direction, protocol, ports and peer are duplicates, also with different descriptions.",
        "AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html",
    )
    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyProtocolRule) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        peer = (self.cidr_ipv4, self.cidr_ipv6, self.source_group.get("GroupId"), self.prefix_list_id)
        return (self.ip_protocol, self.from_port, self.to_port, *peer)


def _canonical_range(ip_range: dict[str, str] | None) -> dict[str, str]:
    result = dict(ip_range or {})
    for key in ("CidrIp", "CidrIpv6"):
        if result.get(key):
            result[key] = str(ip_network(result[key], strict=False))
    return result


class SecurityGroupBackend(EC2Backend):
    """Changes rules in place."""

    @corrects(
        "ModifySecurityGroupRules accepts protocols without ports, and a peer of any kind.",
        "AWSEC2/latest/APIReference/API_ModifySecurityGroupRules.html",
    )
    def modify_security_group_rules(self, group_id: str, rules: dict[str, dict[str, Any]]) -> None:
        for rule in rules.values():
            if str(rule.get("IpProtocol")).lower() not in _PORT_PROTOCOLS:
                rule.setdefault("FromPort", -1)
                rule.setdefault("ToPort", -1)
            if rule.get("CidrIpv4"):
                rule["CidrIpv4"] = str(ip_network(rule["CidrIpv4"], strict=False))
        super().modify_security_group_rules(group_id, rules)
        group = self.get_security_group_from_id(group_id)
        for rule_id, rule in rules.items():
            changed = group.get_rule(rule_id) if group else None
            if changed and rule.get("ReferencedGroupId"):
                changed.source_group = {"GroupId": rule["ReferencedGroupId"], "UserId": self.account_id}
                changed.source_group["Description"] = rule.get("Description") or ""


class SecurityGroupResponse(EC2Response):
    """Adds several rules in one request."""

    @corrects(
        "All rules of a request are added and returned, or none is added.",
        "AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html",
    )
    def authorize_security_group_ingress(self) -> ActionResult:
        return self._authorize("ingress")

    @corrects(
        "All rules of a request are added and returned, or none is added.",
        "AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupEgress.html",
    )
    def authorize_security_group_egress(self) -> ActionResult:
        return self._authorize("egress")

    def _authorize(self, direction: str) -> ActionResult:
        self.error_on_dryrun()
        authorize = getattr(self.ec2_backend, f"authorize_security_group_{direction}")
        name = self._get_param("GroupId") or self._get_param("GroupName")
        group: SecurityGroup | None = self.ec2_backend.get_security_group_by_name_or_id(name)
        before = list(getattr(group, f"{direction}_rules")) if group else []
        added: list[SecurityGroupRule] = []
        try:
            for request in self._process_rules_from_querystring():
                rules, _ = authorize(**request)
                added.extend(rules)
        except ServiceException as error:
            if group:
                setattr(group, f"{direction}_rules", before)
            if error.code == "InvalidPermission.Duplicate":
                raise ec2_error(error.code, f'the specified rule "{_peers(request)}" already exists') from error
            raise
        return ActionResult({"Return": True, "SecurityGroupRules": added})


def _peers(request: dict[str, Any]) -> str:
    ranges = [entry.get("CidrIp") or entry.get("CidrIpv6") for entry in request["ip_ranges"]]
    groups = [entry.get("GroupId") for entry in request["source_groups"]]
    protocol, low, high = request["ip_protocol"], request["from_port"], request["to_port"]
    protocol_name = "ALL" if protocol in {"-1", "all"} else str(protocol).upper()
    ports = "" if low in {None, -1, "-1"} else f", from port: {low}, to port: {high}"
    return f"peer: {', '.join(filter(None, ranges + groups))}, {protocol_name}{ports}, ALLOW"


@refuses(
    "AuthorizeSecurityGroupIngress",
    "AuthorizeSecurityGroupEgress",
    rule="TCP and UDP need a port range; a protocol is a number from -1 to 255, tcp, udp, icmp or icmpv6.",
    source="AWSEC2/latest/APIReference/API_IpPermission.html",
)
def protocol_and_ports_are_valid(call: Call) -> None:
    """InvalidParameterValue."""
    permissions = call.parameter("IpPermissions") or [
        {name: call.parameter(name) for name in ("IpProtocol", "FromPort", "ToPort")}
    ]
    for permission in permissions:
        protocol = str(permission.get("IpProtocol") or "").lower()
        if protocol not in _NAMED_PROTOCOLS and not (protocol.isdigit() and int(protocol) < 256):
            raise ec2_error("InvalidParameterValue", f"Invalid value '{protocol}' for IP protocol. Unknown protocol.")
        if protocol not in _PORT_PROTOCOLS:
            continue
        low, high = permission.get("FromPort"), permission.get("ToPort")
        if low is None or high is None:
            raise ec2_error(
                "InvalidParameterValue",
                "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.",
            )
        if not 0 <= int(low) <= int(high) <= 65535:
            raise ec2_error("InvalidParameterValue", f"Invalid value '{low}-{high}' for portRange.")


@refuses(
    "RevokeSecurityGroupIngress",
    "RevokeSecurityGroupEgress",
    rule="A rule id that the group does not have is refused with a specific error.",
    source="AWSEC2/latest/APIReference/errors-overview.html",
)
def revoked_rule_exists(call: Call) -> None:
    """InvalidSecurityGroupRuleId.NotFound."""
    group = call.backend.get_security_group_by_name_or_id(
        call.parameter("GroupId") or call.parameter("GroupName") or ""
    )
    for rule_id in call.parameter("SecurityGroupRuleIds") or []:
        if group is not None and group.get_rule(rule_id) is None:
            raise ec2_error(
                "InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{rule_id}' does not exist"
            )


@refuses(
    "CreateSecurityGroup",
    rule="A group's name is unique in its VPC, cannot be `default` and cannot start with `sg-`.",
    source="AWSEC2/latest/APIReference/API_CreateSecurityGroup.html",
)
def group_name_is_allowed(call: Call) -> None:
    """InvalidParameterValue, InvalidGroup.Reserved."""
    name = str(call.parameter("GroupName") or "")
    if name.startswith("sg-"):
        raise ec2_error(
            "InvalidParameterValue",
            f"Value ({name}) for parameter groupName is invalid. Group names may not be in the format sg-*",
        )
    if name == "default":
        raise ec2_error("InvalidGroup.Reserved", "The security group 'default' is reserved")
