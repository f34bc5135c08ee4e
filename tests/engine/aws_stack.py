"""The stack of the aws plugin's tests: all kinds of resources of a gateway pair, in two regions."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pulumi
import pulumi_aws as aws

LEFT, RIGHT = "eu-west-2", "ap-southeast-2"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl test"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@dataclass(frozen=True)
class Settings:
    """The variable parts of the program."""

    user_data: str = "#cloud-config\nhostname: gateway\n"
    replace_on_change: bool = True
    instance_type: str = "t3.micro"
    root_size: int = 8
    http_tokens: str = "required"
    monitoring: bool = False
    secret: str = "first-secret"  # noqa: S105 - a test's
    ssh_range: str = "192.0.2.10/32"
    tags: dict[str, str] = field(default_factory=lambda: {"purpose": "test"})
    enable_dns_hostnames: bool = True
    interface_groups: int = 1
    sides: tuple[tuple[str, str], ...] = ((LEFT, "10.1"), (RIGHT, "172.31"))

    def but(self, **changes: Any) -> "Settings":
        """Return the settings with changes."""
        return replace(self, **changes)


def program(settings: Settings) -> None:
    """Declare the stack."""
    for region, prefix in settings.sides:
        _side(region, prefix, settings)


def _side(region: str, prefix: str, settings: Settings) -> None:
    provider = aws.Provider(region, region=region, default_tags={"tags": {"stack": "test"}})
    options = pulumi.ResourceOptions(provider=provider)
    lookup = pulumi.InvokeOptions(provider=provider)

    def named(kind: str) -> str:
        return f"{region}-{kind}"

    def tags(kind: str) -> dict[str, str]:
        return {"Name": named(kind), **settings.tags}

    zones = aws.get_availability_zones_output(state="available", opts=lookup)
    image = aws.ec2.get_ami_output(
        owners=["136693071363"],
        most_recent=True,
        filters=[{"name": "name", "values": ["debian-13-amd64-*"]}],
        opts=lookup,
    )
    vpc = aws.ec2.Vpc(
        named("vpc"),
        cidr_block=f"{prefix}.0.0/16",
        enable_dns_hostnames=settings.enable_dns_hostnames,
        tags=tags("vpc"),
        opts=options,
    )
    subnets = {
        kind: aws.ec2.Subnet(
            named(kind),
            vpc_id=vpc.id,
            cidr_block=f"{prefix}.{number}.0/24",
            availability_zone=zones.names[0],
            tags=tags(kind),
            opts=options,
        )
        for kind, number in (("public", 1), ("private", 10))
    }
    internet = aws.ec2.InternetGateway(named("internet"), vpc_id=vpc.id, tags=tags("internet"), opts=options)
    groups = [_group(named(f"group-{number}"), vpc.id, settings, options) for number in (1, 2)]
    interface = aws.ec2.NetworkInterface(
        named("interface"),
        subnet_id=subnets["public"].id,
        private_ips=[f"{prefix}.1.254"],
        security_groups=[group.id for group in groups[: settings.interface_groups]],
        source_dest_check=False,
        tags=tags("interface"),
        opts=options,
    )
    targets = {"public": {"gateway_id": internet.id}, "private": {"network_interface_id": interface.id}}
    for kind, target in targets.items():
        table = aws.ec2.RouteTable(named(f"{kind}-table"), vpc_id=vpc.id, tags=tags(kind), opts=options)
        aws.ec2.RouteTableAssociation(
            named(f"{kind}-association"), subnet_id=subnets[kind].id, route_table_id=table.id, opts=options
        )
        aws.ec2.Route(
            named(f"{kind}-default"),
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            opts=options,
            **target,
        )
    address = aws.ec2.Eip(
        named("address"),
        domain="vpc",
        tags=tags("address"),
        opts=pulumi.ResourceOptions(provider=provider, depends_on=[internet]),
    )
    association = aws.ec2.EipAssociation(
        named("address-association"), allocation_id=address.id, network_interface_id=interface.id, opts=options
    )
    parameter = aws.ssm.Parameter(
        named("secret"),
        name=f"/test/{region}/secret",
        type="SecureString",
        value=pulumi.Output.secret(settings.secret),
        tags=tags("secret"),
        opts=options,
    )
    profile = _profile(named, parameter.arn, settings, options)
    key = aws.ec2.KeyPair(named("key"), public_key=PUBLIC_KEY, tags=tags("key"), opts=options)
    instance = aws.ec2.Instance(
        named("instance"),
        ami=image.id,
        instance_type=settings.instance_type,
        key_name=key.key_name,
        iam_instance_profile=profile.name,
        primary_network_interface={"network_interface_id": interface.id},
        user_data=settings.user_data,
        user_data_replace_on_change=settings.replace_on_change,
        monitoring=settings.monitoring,
        metadata_options={"http_tokens": settings.http_tokens, "http_endpoint": "enabled"},
        credit_specification={"cpu_credits": "standard"},
        root_block_device={"encrypted": True, "volume_type": "gp3", "volume_size": settings.root_size},
        tags=tags("instance"),
        opts=pulumi.ResourceOptions(
            provider=provider,
            depends_on=[association],
            delete_before_replace=True,
            # Needed with the real provider: terraform-provider-aws #44768.
            ignore_changes=["sourceDestCheck"],
        ),
    )
    pulumi.export(f"{region}-ip", address.public_ip)
    pulumi.export(f"{region}-instance", instance.id)


def _group(name: str, vpc_id: pulumi.Output[str], settings: Settings, options: pulumi.ResourceOptions) -> Any:
    group = aws.ec2.SecurityGroup(name, vpc_id=vpc_id, tags={"Name": name}, opts=options)
    aws.vpc.SecurityGroupEgressRule(
        f"{name}-out", security_group_id=group.id, ip_protocol="-1", cidr_ipv4="0.0.0.0/0", opts=options
    )
    aws.vpc.SecurityGroupIngressRule(
        f"{name}-ssh",
        security_group_id=group.id,
        ip_protocol="tcp",
        from_port=22,
        to_port=22,
        cidr_ipv4=settings.ssh_range,
        opts=options,
    )
    aws.vpc.SecurityGroupIngressRule(
        f"{name}-esp", security_group_id=group.id, ip_protocol="50", cidr_ipv4="192.0.2.1/32", opts=options
    )
    return group


def _profile(named: Any, parameter_arn: Any, settings: Settings, options: pulumi.ResourceOptions) -> Any:
    role = aws.iam.Role(
        named("role"), assume_role_policy=json.dumps(TRUST), tags={"Name": named("role"), **settings.tags}, opts=options
    )
    document = aws.iam.get_policy_document_output(
        statements=[{"actions": ["ssm:GetParameter"], "resources": [parameter_arn]}],
        opts=pulumi.InvokeOptions(provider=options.provider),
    )
    aws.iam.RolePolicy(named("policy"), role=role.name, policy=document.json, opts=options)
    return aws.iam.InstanceProfile(named("profile"), role=role.name, opts=options)
