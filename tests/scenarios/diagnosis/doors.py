"""The doors by which causes come in life: the EC2 and IAM API, a hand on the gateway, the Internet between them."""

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from lab import network_faults
from lab.api.client import client
from tests.scenarios import operations
from tests.scenarios.operations import OperationError, on_gateway, wait_until
from tests.scenarios.sites import Site

_SAVED = "/run/saved-by-test"
_NETWORK_SECONDS = 15.0

# A hand on the gateway.


@contextmanager
def edited(site: Site, path: str, edit: Callable[[str], str], *, then: str) -> Iterator[None]:
    """Have other text in a file, owner and mode as before; `then` makes the gateway read it, both times."""
    saved = f"{_SAVED}/{PurePosixPath(path).name}"
    text = on_gateway(site, f"mkdir -pm 700 {_SAVED}; cp -a {path} {saved}; cat {path}")
    edited_text = edit(text)
    if edited_text == text:
        raise OperationError(f"the edit changes nothing in {path}")
    try:
        # Over the same inode: owner and mode stay.
        on_gateway(site, f"cat >{path}; {then}", stdin=edited_text)
        yield
    finally:
        on_gateway(site, f"cp -a {saved} {path}; rm -r {_SAVED}; {then}")


@contextmanager
def done_and_undone(site: Site, do: str, undo: str, *, shows: str) -> Iterator[None]:
    """Run `do` on the gateway and `undo` afterwards; what `shows` prints must differ between, and be the same after.

    Raises OperationError where it does not.
    """
    before = on_gateway(site, shows)
    try:
        on_gateway(site, do)
        if on_gateway(site, shows) == before:
            raise OperationError(f"{do!r} on {site.gateway} changes nothing in {shows!r}")
        yield
    finally:
        on_gateway(site, undo)
        if (after := on_gateway(site, shows)) != before:
            raise OperationError(f"{undo!r} on {site.gateway} leaves {after!r}, not {before!r}")


# The EC2 API.


@contextmanager
def changed_in_the_api(site: Site, change: Callable[[], object], change_back: Callable[[], object]) -> Iterator[None]:
    """Make a change by the API and take it back; wait each time until the lab's network has it.

    Raises OperationError when the network of the site's VPC stays as it was, or is another one in the end.
    """
    before = _network(site)
    try:
        change()
        wait_until(f"the network of {site.name} changes", lambda: _network(site) != before, _NETWORK_SECONDS)
        yield
    finally:
        change_back()
        wait_until(f"the network of {site.name} is what it was", lambda: _network(site) == before, _NETWORK_SECONDS)


@contextmanager
def other_ingress_rule(
    site: Site, interface_id: str, is_it: Callable[[Mapping[str, Any]], bool], **other: Any
) -> Iterator[None]:
    """Have `other` fields in the one ingress rule for which `is_it` says so, of the groups of an interface.

    Changed in place, as in the console: the rule keeps its id, and the stack has no drift when it is put back.
    """
    ec2 = client("ec2", site.region)
    (interface,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface_id])["NetworkInterfaces"]
    groups = [group["GroupId"] for group in interface["Groups"]]
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": groups}])["SecurityGroupRules"]
    (rule,) = (rule for rule in rules if not rule["IsEgress"] and is_it(rule))
    fields = ("IpProtocol", "FromPort", "ToPort", "CidrIpv4", "Description")
    found: dict[str, Any] = {field: rule[field] for field in fields if field in rule}  # type: ignore[literal-required]

    def put(request: Any) -> None:
        change: Any = {"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "SecurityGroupRule": request}
        ec2.modify_security_group_rules(GroupId=rule["GroupId"], SecurityGroupRules=[change])

    with changed_in_the_api(site, lambda: put({**found, **other}), lambda: put(found)):
        yield


@contextmanager
def source_dest_check_on(site: Site) -> Iterator[None]:
    """Have the source/destination check on at the gateway's interface."""

    def put(enabled: bool) -> None:
        operations.set_check(site, interface=site.gateway_eni, enabled=enabled)

    with changed_in_the_api(site, lambda: put(True), lambda: put(False)):
        yield


@contextmanager
def without_private_default_route(site: Site) -> Iterator[None]:
    """Have no default route in the private host's route table."""
    ec2 = client("ec2", site.region)
    (host,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[site.private_host_eni])["NetworkInterfaces"]
    (table,) = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [host["SubnetId"]]}])[
        "RouteTables"
    ]
    which: Any = {"RouteTableId": table["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0"}
    with changed_in_the_api(
        site,
        lambda: ec2.delete_route(**which),
        lambda: ec2.create_route(**which, NetworkInterfaceId=site.gateway_eni),
    ):
        yield


@contextmanager
def elastic_ip_disassociated(site: Site) -> Iterator[None]:
    """Have the gateway's Elastic IP allocated, but bound to nothing. The new association has another id afterwards."""
    with changed_in_the_api(site, lambda: operations.take_address(site), lambda: operations.give_address(site)):
        yield


@contextmanager
def gateway_stopped(site: Site) -> Iterator[None]:
    """Have the gateway's instance stopped."""
    try:
        operations.stop_instance(site)
        yield
    finally:
        operations.start_instance(site)


# The IAM API.


class RolePolicy:
    """The policy by which a gateway's role reads its two secrets."""

    def __init__(self, site: Site) -> None:
        ec2, self._iam = client("ec2", site.region), client("iam", site.region)
        (reservation,) = ec2.describe_instances(InstanceIds=[site.gateway_id])["Reservations"]
        profile = reservation["Instances"][0]["IamInstanceProfile"]["Arn"].rpartition("/")[2]
        (role,) = self._iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Roles"]
        self._role = role["RoleName"]
        (self._name,) = self._iam.list_role_policies(RoleName=self._role)["PolicyNames"]
        document: Any = self._iam.get_role_policy(RoleName=self._role, PolicyName=self._name)["PolicyDocument"]
        self._document = json.dumps(document)

    def take_away(self) -> None:
        """Leave the role without permission."""
        self._iam.delete_role_policy(RoleName=self._role, PolicyName=self._name)

    def allow_only(self, word: str) -> None:
        """Allow only those parameters whose name has `word` in it."""
        document = json.loads(self._document)
        for statement in document["Statement"]:
            statement["Resource"] = [arn for arn in statement["Resource"] if word in arn]
        self._put(json.dumps(document))

    def put_back(self) -> None:
        """Allow what was allowed."""
        self._put(self._document)

    def _put(self, document: str) -> None:
        self._iam.put_role_policy(RoleName=self._role, PolicyName=self._name, PolicyDocument=document)


# The Internet.


@contextmanager
def internet_with(fault: str) -> Iterator[None]:
    """Have a fault of `lab.network_faults` in the Internet."""
    network_faults.inject(fault)
    try:
        yield
    finally:
        network_faults.heal()


def _network(site: Site) -> str:
    """Return a digest of all rules and routes of the site's VPC."""
    inside = ["ip", "netns", "exec", site.vpc_namespace]
    commands = (["nft", "-s", "list", "table", "ip", "lab"], ["ip", "rule"], ["ip", "route", "show", "table", "all"])
    texts = [subprocess.run([*inside, *command], capture_output=True, check=True).stdout for command in commands]
    return hashlib.sha256(b"\0".join(b"\n".join(sorted(text.splitlines())) for text in texts)).hexdigest()
