"""Delivers a gateway's secrets: as SSM parameters with a role that reads only these, or in its user data."""

import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_tls as tls
from pulumi_aws import iam, ssm

from ..decisions.arn import dns_suffix, region_of, service_host
from ..decisions.monitoring import NAMESPACE
from ..decisions.problems import SECRET, Problem
from ..decisions.secrets import GivenSecrets, StoredSecrets
from ..inputs.problems import SettingsError
from ..inputs.psk import equal_keys, ppk_weakness, psk_weakness
from ..inputs.ssh_keys import HOST_KEYS, LOGIN_KEYS, key_problems, public_key
from .scope import Scope

AWS_KEY = "alias/aws/ssm"
"""Alias of AWS's own key for SecureString parameters (Systems Manager API reference, "PutParameter", KeyId)."""

PRIVATE_KEY_OUTPUTS = ["private_key_openssh", "private_key_pem", "private_key_pem_pkcs8"]


@dataclass(frozen=True, kw_only=True)
class SshKey:
    """An SSH key. The private half is secret, the public half is a line of text."""

    private: pulumi.Output[str]
    public: pulumi.Output[str]


@dataclass(frozen=True, kw_only=True)
class PreSharedKeys:
    """The pre-shared keys of a gateway's tunnels; secret."""

    psk: pulumi.Output[str] | None
    """None: the gateway has no peers."""
    ppk: pulumi.Output[str] | None
    """The postquantum pre-shared key, if the tunnels use one."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What the gateway's user data says about its secrets, and what the instance needs to read them."""

    secrets: pulumi.Output[StoredSecrets | GivenSecrets]
    instance_profile: iam.InstanceProfile | None
    needed_at_boot: tuple[pulumi.Resource, ...]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the gateway is. The credentials of its role are valid only there."""

    public_ip: pulumi.Output[str]
    private_ip: str
    vpc_id: pulumi.Output[str]


def callers_ssh_key(what: str, private: pulumi.Input[str], public: pulumi.Input[str]) -> SshKey:
    """Return the caller's own key `host` or `ssh`. Its Outputs fail with the key's problems once it is known."""

    def check(halves: list[str]) -> str:
        problems = key_problems(f"{what}_private_key", halves[0], f"{what}_public_key", halves[1], host=what == "host")
        if problems:
            raise SettingsError("VPN gateway", problems)
        return halves[0]

    both = pulumi.Output.all(pulumi.Output.secret(private), public)
    return SshKey(private=both.apply(check), public=public_key_line(f"{what}_public_key", public, host=what == "host"))


def generated_ssh_key(name: str, options: pulumi.ResourceOptions) -> SshKey:
    """Generate an ed25519 key. The stack's state keeps it encrypted."""
    secret_outputs = pulumi.ResourceOptions(additional_secret_outputs=PRIVATE_KEY_OUTPUTS)
    key = tls.PrivateKey(name, algorithm="ED25519", opts=pulumi.ResourceOptions.merge(options, secret_outputs))
    return SshKey(private=pulumi.Output.secret(key.private_key_openssh), public=key.public_key_openssh.apply(str.strip))


def public_key_line(setting: str, public: pulumi.Input[str], *, host: bool = False) -> pulumi.Output[str]:
    """Return a public key as a line, without its comment, which might not be ASCII. It is a host key, or a login key.

    The Output fails with the key's problems once it is known.
    """

    def check(text: str) -> str:
        key = public_key(text, HOST_KEYS if host else LOGIN_KEYS)
        if key is None:
            problems = key_problems("", None, setting, text, host=host)
            raise SettingsError("VPN gateway", problems)
        return key.line()

    return pulumi.Output.from_input(public).apply(check)


def checked_keys(psk: pulumi.Input[str] | None, ppk: pulumi.Input[str] | None) -> PreSharedKeys:
    """Return the pre-shared keys as secret Outputs that fail with the rule they break, once they are known."""
    if psk is None:
        return PreSharedKeys(psk=None, ppk=None)
    checked = pulumi.Output.secret(psk).apply(lambda key: _accepted("psk", key, psk_weakness(key)))
    if ppk is None:
        return PreSharedKeys(psk=checked, ppk=None)
    both = pulumi.Output.all(checked, pulumi.Output.secret(ppk))
    return PreSharedKeys(
        psk=checked,
        ppk=both.apply(lambda keys: _accepted("ppk", keys[1], ppk_weakness(keys[1]) or equal_keys(*keys))),
    )


def _accepted(setting: str, key: str, broken: tuple[str, str] | None) -> str:
    if broken is not None:
        rule, remedy = broken
        raise SettingsError("VPN gateway", [Problem(setting=setting, value=SECRET, rule=rule, remedy=remedy)])
    return key


def inline_secrets(keys: PreSharedKeys, host_key: SshKey) -> Delivery:
    """Deliver the secrets inside the user data."""
    secrets: pulumi.Output[StoredSecrets | GivenSecrets] = pulumi.Output.all(
        psk=keys.psk, ppk=keys.ppk, host_private_key=host_key.private
    ).apply(lambda known: GivenSecrets(**known))
    return Delivery(secrets=secrets, instance_profile=None, needed_at_boot=())


def stored_secrets(
    scope: Scope,
    keys: PreSharedKeys,
    host_key: SshKey,
    *,
    place: Place,
    kms_key_arn: pulumi.Input[str] | None,
    permissions_boundary_arn: pulumi.Input[str] | None,
    publishes_metrics: bool,
) -> Delivery:
    """Deliver the secrets by SSM Parameter Store, to a role that may read them only from the gateway's place.

    If the gateway `publishes_metrics`, the role may do that too.
    """
    values = {
        "psk": ("Pre-shared key of the VPN", keys.psk),
        "host_key": ("SSH host key of the VPN gateway", host_key.private),
        "ppk": ("Postquantum pre-shared key of the VPN", keys.ppk),
    }
    parameters = {
        name: _parameter(scope, name.replace("_", "-"), description, value, kms_key_arn)
        for name, (description, value) in values.items()
        if value is not None
    }
    role = iam.Role(
        scope.name("role"),
        description=f"VPN gateway {scope.site}: reads its own secrets",
        assume_role_policy=parameters["host_key"].arn.apply(_assume_role_policy),
        permissions_boundary=permissions_boundary_arn,
        tags=scope.tags("role"),
        # Release 0.1.0 had another description, and to change one takes a right that deployers may not have.
        opts=pulumi.ResourceOptions.merge(scope.options(), pulumi.ResourceOptions(ignore_changes=["description"])),
    )
    policy = iam.RolePolicy(
        scope.name("role-policy"),
        role=role.name,
        policy=pulumi.Output.all(
            public_ip=place.public_ip,
            private_ip=place.private_ip,
            vpc_id=place.vpc_id,
            key=kms_key_arn,
            parameters=pulumi.Output.all(*(each.arn for each in parameters.values())),
        ).apply(lambda known: _role_policy(known, publishes_metrics=publishes_metrics)),
        opts=scope.options(),
    )
    profile = iam.InstanceProfile(
        scope.name("instance-profile"), role=role.name, tags=scope.tags("instance-profile"), opts=scope.options()
    )
    names = {
        name: pulumi.Output.all(each.name, each.version).apply(lambda known: f"{known[0]}:{int(known[1])}")
        for name, each in parameters.items()
    }
    arn = parameters["host_key"].arn
    secrets: pulumi.Output[StoredSecrets | GivenSecrets] = pulumi.Output.all(arn=arn, **names).apply(_stored)
    return Delivery(secrets=secrets, instance_profile=profile, needed_at_boot=(policy, *parameters.values()))


def _parameter(
    scope: Scope, name: str, description: str, value: pulumi.Output[str], kms_key_arn: pulumi.Input[str] | None
) -> ssm.Parameter:
    return ssm.Parameter(
        scope.name(f"{name}-parameter"),
        type=ssm.ParameterType.SECURE_STRING,
        description=description,
        value=value,
        # AWS's key is named, too: the provider sees no change when `key_id` is removed (terraform-provider-aws #20150),
        # and the value would stay encrypted with a key that the role may no longer use.
        key_id=AWS_KEY if kms_key_arn is None else kms_key_arn,
        tags=scope.tags(name),
        opts=scope.options(),
    )


def _stored(known: dict[str, str]) -> StoredSecrets:
    return StoredSecrets(
        endpoint=service_host("ssm", known["arn"]),
        region=region_of(known["arn"]),
        psk_parameter=known.get("psk"),
        ppk_parameter=known.get("ppk"),
        host_key_parameter=known["host_key"],
    )


def _assume_role_policy(arn: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": f"ec2.{dns_suffix(arn)}"},
        "Action": "sts:AssumeRole",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _role_policy(known: dict[str, Any], *, publishes_metrics: bool) -> str:
    parameters, key = known["parameters"], known["key"]
    read = {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": parameters}
    # The credential's own keys (aws:EC2InstanceSourceVPC, ec2:SourceInstanceARN) have the same values wherever a stolen
    # credential is used. The network's keys show where it is used: aws:SourceIp over the Internet, the other two
    # through an endpoint in the VPC (IAM user guide, "AWS global condition context keys").
    internet = {"IpAddress": {"aws:SourceIp": f"{known['public_ip']}/32"}}
    endpoint = {
        "StringEquals": {"aws:SourceVpc": known["vpc_id"]},
        "IpAddress": {"aws:VpcSourceIp": f"{known['private_ip']}/32"},
    }
    statements: list[dict[str, Any]] = [{**read, "Condition": internet}, {**read, "Condition": endpoint}]
    if publishes_metrics:
        # A metric is no resource of IAM; the namespace is a condition (Service Authorization Reference, "Amazon
        # CloudWatch").
        publish = {"Effect": "Allow", "Action": "cloudwatch:PutMetricData", "Resource": "*"}
        for where in (internet, endpoint):
            namespace = {**where.get("StringEquals", {}), "cloudwatch:namespace": NAMESPACE}
            statements.append({**publish, "Condition": {**where, "StringEquals": namespace}})
    if key is not None:
        # Parameter Store names the parameter to KMS (Systems Manager user guide, "AWS KMS encryption for Parameter
        # Store SecureString parameters"), so the role decrypts nothing else that the key encrypts. Parameter Store
        # calls KMS from an address of AWS, so there is no condition on the address.
        own = {"StringEquals": {"kms:EncryptionContext:PARAMETER_ARN": parameters}}
        statements.append({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key, "Condition": own})
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
