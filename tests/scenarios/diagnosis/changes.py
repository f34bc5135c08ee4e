"""Changes that break a tunnel and are undone: on the gateway, by the EC2 and IAM API, in the lab's Internet."""

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from lab import network_faults
from lab.api.client import client
from tests.scenarios.gateway import Gateway, Instance, StepError, wait_until
from tests.scenarios.sites import Site

_SAVED = "/run/saved-by-test"
_NETWORK_SECONDS = 15.0

# On the gateway.


@contextmanager
def edited(gateway: Gateway, path: str, edit: Callable[[str], str], *, then: str) -> Iterator[None]:
    """Change the text of a file; owner and mode stay. The command `then` makes the gateway read it, both times."""
    saved = f"{_SAVED}/{PurePosixPath(path).name}"
    text = gateway.run(f"mkdir -pm 700 {_SAVED}; cp -a {path} {saved}; cat {path}")
    edited_text = edit(text)
    if edited_text == text:
        raise StepError(f"the edit changes nothing in {path}")
    try:
        gateway.write(path, edited_text)
        gateway.run(then)
        yield
    finally:
        gateway.run(f"cp -a {saved} {path}; rm -r {_SAVED}; {then}")


@contextmanager
def done_and_undone(gateway: Gateway, do: str, undo: str, *, shows: str) -> Iterator[None]:
    """Run the command `do` on the gateway, and `undo` afterwards.

    Raises StepError unless `do` changes what the command `shows` prints, and `undo` restores it.
    """
    before = gateway.run(shows)
    try:
        gateway.run(do)
        if gateway.run(shows) == before:
            raise StepError(f"{do!r} on {gateway.name} changes nothing in {shows!r}")
        yield
    finally:
        gateway.run(undo)
        if (after := gateway.run(shows)) != before:
            raise StepError(f"{undo!r} on {gateway.name} leaves {after!r}, not {before!r}")


# The EC2 API.


@contextmanager
def changed_in_the_api(
    gateway: Gateway, change: Callable[[], object], change_back: Callable[[], object]
) -> Iterator[None]:
    """Make a change by the API and revert it. Wait each time until the lab's network follows.

    Raises StepError when the rules and routes of the gateway's VPC do not change, or are not restored.
    """
    before = _network(gateway)
    try:
        change()
        wait_until(f"the VPC of {gateway.name} changes", lambda: _network(gateway) != before, _NETWORK_SECONDS)
        yield
    finally:
        change_back()
        wait_until(f"the VPC of {gateway.name} is restored", lambda: _network(gateway) == before, _NETWORK_SECONDS)


@contextmanager
def other_ingress_rule(
    gateway: Gateway, instance: Instance, is_it: Callable[[Mapping[str, Any]], bool], **other: Any
) -> Iterator[None]:
    """Change the fields `other` of the one ingress rule that `is_it` accepts, in the security groups of an instance.

    The rule is changed in place, as in the console, and keeps its id. So the stack has no drift when it is restored.
    """
    ec2 = instance.ec2
    (interface,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[instance.eni])["NetworkInterfaces"]
    groups = [group["GroupId"] for group in interface["Groups"]]
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": groups}])["SecurityGroupRules"]
    (rule,) = (rule for rule in rules if not rule["IsEgress"] and is_it(rule))
    fields = ("IpProtocol", "FromPort", "ToPort", "CidrIpv4", "Description")
    # mypy cannot check keys that are not literals.
    found: dict[str, Any] = {field: rule[field] for field in fields if field in rule}  # type: ignore[literal-required]

    def put(request: Any) -> None:
        change: Any = {"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "SecurityGroupRule": request}
        ec2.modify_security_group_rules(GroupId=rule["GroupId"], SecurityGroupRules=[change])

    with changed_in_the_api(gateway, lambda: put({**found, **other}), lambda: put(found)):
        yield


@contextmanager
def source_dest_check_on(gateway: Gateway) -> Iterator[None]:
    """Switch the source/destination check on at the gateway's interface."""
    check = gateway.set_source_dest_check
    with changed_in_the_api(gateway, partial(check, True), partial(check, False)):
        yield


@contextmanager
def without_private_default_route(site: Site) -> Iterator[None]:
    """Delete the default route from the private host's route table."""
    ec2 = site.gateway.ec2
    (host,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[site.private_host.eni])["NetworkInterfaces"]
    (table,) = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [host["SubnetId"]]}])[
        "RouteTables"
    ]
    which: Any = {"RouteTableId": table["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0"}
    with changed_in_the_api(
        site.gateway,
        lambda: ec2.delete_route(**which),
        lambda: ec2.create_route(**which, NetworkInterfaceId=site.gateway.eni),
    ):
        yield


@contextmanager
def elastic_ip_disassociated(gateway: Gateway) -> Iterator[None]:
    """Disassociate the gateway's Elastic IP. The new association has another id."""
    with changed_in_the_api(gateway, gateway.take_address, gateway.give_address):
        yield


@contextmanager
def stopped(gateway: Gateway) -> Iterator[None]:
    """Stop the gateway's instance."""
    try:
        gateway.stop_instance()
        yield
    finally:
        gateway.start_instance()


# The IAM API.


class RolePolicy:
    """The policy that lets a gateway's role read its two secrets."""

    def __init__(self, gateway: Gateway) -> None:
        self._iam = client("iam", gateway.region)
        (reservation,) = gateway.ec2.describe_instances(InstanceIds=[gateway.id])["Reservations"]
        profile = reservation["Instances"][0]["IamInstanceProfile"]["Arn"].rpartition("/")[2]
        (role,) = self._iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Roles"]
        self._role = role["RoleName"]
        (self._name,) = self._iam.list_role_policies(RoleName=self._role)["PolicyNames"]
        document: Any = self._iam.get_role_policy(RoleName=self._role, PolicyName=self._name)["PolicyDocument"]
        self._document = json.dumps(document)

    def take_away(self) -> None:
        """Remove the policy from the role."""
        self._iam.delete_role_policy(RoleName=self._role, PolicyName=self._name)

    def allow_only(self, word: str) -> None:
        """Allow only the parameters whose name contains `word`."""
        document = json.loads(self._document)
        for statement in document["Statement"]:
            statement["Resource"] = [arn for arn in statement["Resource"] if word in arn]
        self._put(json.dumps(document))

    def put_back(self) -> None:
        """Restore the policy."""
        self._put(self._document)

    def _put(self, document: str) -> None:
        self._iam.put_role_policy(RoleName=self._role, PolicyName=self._name, PolicyDocument=document)


# The Internet.


@contextmanager
def internet_with(fault: str) -> Iterator[None]:
    """Inject a fault of `lab.network_faults`."""
    network_faults.inject(fault)
    try:
        yield
    finally:
        network_faults.heal()


def _network(gateway: Gateway) -> str:
    """Return a digest of all rules and routes of the gateway's VPC."""
    inside = ["ip", "netns", "exec", gateway.vpc_namespace]
    commands = (["nft", "-s", "list", "table", "ip", "lab"], ["ip", "rule"], ["ip", "route", "show", "table", "all"])
    texts = [subprocess.run([*inside, *command], capture_output=True, check=True).stdout for command in commands]
    return hashlib.sha256(b"\0".join(b"\n".join(sorted(text.splitlines())) for text in texts)).hexdigest()
