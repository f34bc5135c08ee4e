"""Helpers of the API tests: a served API, errors, roles, and the product's resources created with plain boto3."""

import json
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lab.api import state
from lab.api.client import client

TRUST_EC2 = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


@contextmanager
def served_api() -> Iterator[str]:
    """Serve the API on a free port in this process; yield its URL. Instances change their state fast."""
    from lab.api.server import serve  # noqa: PLC0415 - moto takes a second to import
    from lab.api.service import forget_everything  # noqa: PLC0415 - the same

    server = serve(socket.create_server(("127.0.0.1", 0)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "TRANSITION_SECONDS", 0.05)
        patch.setattr("moto.iam.models.aws_managed_policies_data", _few_managed_policies())
        try:
            yield f"http://127.0.0.1:{server.port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            _finish_transitions()
            forget_everything()


@cache
def _few_managed_policies() -> str:
    """Return AWS's managed policies that the tests use. moto would read all of them, some 1,600, for each test."""
    from moto.iam.aws_managed_policies import aws_managed_policies_data as data  # noqa: PLC0415 - importing moto is slow

    policies = json.loads(data)
    return json.dumps({name: policies[name] for name in ("AdministratorAccess", "AmazonSSMReadOnlyAccess")})


def _finish_transitions() -> None:
    """Wait until no instance is changing its state: a late change would count for the next test's account."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join()


def error_code(call: Callable[..., Any], **parameters: Any) -> str:
    """Return AWS's error code for a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"]


def error_message(call: Callable[..., Any], **parameters: Any) -> str:
    """Return AWS's message for a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Message"]


def lab_path(api: str, path: str) -> Any:
    """Return the JSON document at one of the lab's own paths."""
    with urllib.request.urlopen(api + path) as response:  # noqa: S310 - our own server
        return json.load(response)


def wait_for_state(ec2: Any, instance_id: str, wanted: str) -> dict[str, Any]:
    """Return the instance once it is in the wanted state; fail after five seconds."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        instance = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
        if instance["State"]["Name"] == wanted:
            return dict(instance)
        time.sleep(0.01)
    raise AssertionError(f"{instance_id} is {instance['State']['Name']} after 5 s, expected {wanted}")


@dataclass
class Site:
    """One site of the pair, as the component creates it: VPC, subnets, gateway ENI with EIP, instance on the ENI."""

    api: str
    region: str
    name: str
    cidr_block: str
    public_cidr_block: str
    private_cidr_block: str
    gateway_address: str
    instance_type: str = "t3.nano"
    user_data: bytes = b"#cloud-config\n"
    ids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ec2 = client("ec2", self.region, self.api)
        self.iam = client("iam", self.region, self.api)
        self.ssm = client("ssm", self.region, self.api)

    @property
    def image_id(self) -> str:
        """The newest Debian 13 image of the region."""
        name = "/aws/service/debian/release/13/latest/amd64"
        return str(self.ssm.get_parameter(Name=name)["Parameter"]["Value"])

    def build_network(self) -> None:
        """Create VPC, Internet gateway, subnets and route tables."""
        ec2, ids = self.ec2, self.ids
        ids["vpc"] = ec2.create_vpc(CidrBlock=self.cidr_block)["Vpc"]["VpcId"]
        ids["igw"] = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=ids["igw"], VpcId=ids["vpc"])
        for kind, block in (("public", self.public_cidr_block), ("private", self.private_cidr_block)):
            subnet = ec2.create_subnet(VpcId=ids["vpc"], CidrBlock=block, AvailabilityZone=f"{self.region}b")
            ids[f"{kind}_subnet"] = subnet["Subnet"]["SubnetId"]
            ids[f"{kind}_table"] = ec2.create_route_table(VpcId=ids["vpc"])["RouteTable"]["RouteTableId"]
            ids[f"{kind}_association"] = ec2.associate_route_table(
                RouteTableId=ids[f"{kind}_table"], SubnetId=ids[f"{kind}_subnet"]
            )["AssociationId"]
        ec2.create_route(RouteTableId=ids["public_table"], DestinationCidrBlock="0.0.0.0/0", GatewayId=ids["igw"])

    def build_identity(self) -> None:
        """Create security group, interface and address, and the private route to the interface."""
        ec2, ids = self.ec2, self.ids
        ids["group"] = ec2.create_security_group(GroupName="gateway", Description="gateway", VpcId=ids["vpc"])[
            "GroupId"
        ]
        ids["eni"] = ec2.create_network_interface(
            SubnetId=ids["public_subnet"], PrivateIpAddress=self.gateway_address, Groups=[ids["group"]]
        )["NetworkInterface"]["NetworkInterfaceId"]
        ec2.modify_network_interface_attribute(NetworkInterfaceId=ids["eni"], SourceDestCheck={"Value": False})
        address = ec2.allocate_address(Domain="vpc")
        ids["eip"], ids["public_ip"] = address["AllocationId"], address["PublicIp"]
        ids["eip_association"] = ec2.associate_address(AllocationId=ids["eip"], NetworkInterfaceId=ids["eni"])[
            "AssociationId"
        ]
        ec2.create_route(
            RouteTableId=ids["private_table"], DestinationCidrBlock="0.0.0.0/0", NetworkInterfaceId=ids["eni"]
        )

    def admit(self, peer_ip: str) -> None:
        """Allow IPsec from the peer and everything from the site's own VPC."""
        ranges = [{"CidrIp": f"{peer_ip}/32", "Description": "peer"}]
        udp = [{"IpProtocol": "udp", "FromPort": port, "ToPort": port, "IpRanges": ranges} for port in (500, 4500)]
        esp = {"IpProtocol": "50", "IpRanges": ranges}
        own_vpc = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": self.cidr_block}]}
        rules = [*udp, esp, own_vpc]
        # Plain dictionaries.
        self.ec2.authorize_security_group_ingress(GroupId=self.ids["group"], IpPermissions=rules)  # type: ignore[arg-type]

    def build_role(self) -> None:
        """Create the secret, the role that may read it, and the instance profile."""
        name, parameter = f"{self.name}-gateway", f"/vpn/{self.name}/psk"
        self.ssm.put_parameter(Name=parameter, Value="a secret", Type="SecureString")
        arn = f"arn:aws:ssm:{self.region}:123456789012:parameter{parameter}"
        statement = {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": arn}
        self.ids["role"] = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST_EC2)["Role"]["Arn"]
        self.iam.put_role_policy(
            RoleName=name,
            PolicyName="secrets",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )
        self.iam.create_instance_profile(InstanceProfileName=name)
        self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)

    def launch(self, **more: Any) -> str:
        """Launch the gateway on its interface; return the instance's id."""
        launched = self.ec2.run_instances(
            ImageId=self.image_id,
            InstanceType=self.instance_type,  # type: ignore[arg-type]  # not a literal
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": self.ids["eni"]}],
            UserData=self.user_data,  # type: ignore[arg-type]  # boto3 also accepts bytes
            MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled"},
            BlockDeviceMappings=[
                {"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "VolumeType": "gp3", "VolumeSize": 8}}
            ],
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": f"{self.name}-gateway"}]}
            ],
            **more,
        )
        self.ids["instance"] = launched["Instances"][0]["InstanceId"]
        return self.ids["instance"]

    def end_instance(self) -> None:
        """Terminate the gateway and wait until it is terminated."""
        self.ec2.terminate_instances(InstanceIds=[self.ids["instance"]])
        wait_for_state(self.ec2, self.ids["instance"], "terminated")


def uk(api: str, **more: Any) -> Site:
    """Return the article's `uk` site; none of its resources exist yet."""
    return Site(api, "eu-west-2", "uk", "10.1.0.0/16", "10.1.1.0/24", "10.1.10.0/24", "10.1.1.254", **more)


def au(api: str, **more: Any) -> Site:
    """Return the article's `au` site; none of its resources exist yet."""
    return Site(
        api, "ap-southeast-2", "au", "172.31.0.0/16", "172.31.12.0/24", "172.31.200.0/24", "172.31.12.198", **more
    )


def as_role(api: str, credentials: dict[str, str], service: str) -> Any:
    """Return a client of a service in `eu-west-2` that uses a role's temporary credentials."""
    session: Any = boto3.session.Session()
    return session.client(
        service,
        region_name="eu-west-2",
        endpoint_url=api,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def role_with(api: str, site: Site, name: str, statements: list[dict[str, Any]]) -> dict[str, Any]:
    """Create a role that has one policy with `statements`; return temporary credentials of the role."""
    arn = site.iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST_EC2)["Role"]["Arn"]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    site.iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
    answer = client("sts", "eu-west-2", api).assume_role(RoleArn=arn, RoleSessionName="i-0")
    return dict(answer["Credentials"])
