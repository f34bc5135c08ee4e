"""What AWS answers to look-ups of a network that is there already: one VPC, its subnets, its route tables."""

from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

from tests.unit.recording import Deployment

VPC, OTHER_VPC = "vpc-0123456789abcdef0", "vpc-0fedcba9876543210"
PUBLIC, PRIVATE = "subnet-0000000000000000a", "subnet-0000000000000000b"
MAIN, TABLE_A, TABLE_B = "rtb-0000000000000000c", "rtb-0000000000000000a", "rtb-0000000000000000b"
GATEWAY = "igw-00000000000000001"


@dataclass
class ExistingCloud:
    """Change a field before the program runs, and AWS says something else."""

    cidr_blocks: list[str] = field(default_factory=lambda: ["10.1.0.0/16"])
    subnets: dict[str, str] = field(default_factory=lambda: {PUBLIC: "10.1.1.0/24", PRIVATE: "10.1.10.0/24"})
    zone: str = "eu-west-2a"
    vpc_of_tables: str = VPC
    routes: dict[str, list[dict[str, str]]] = field(
        default_factory=lambda: {
            MAIN: [{"cidrBlock": "0.0.0.0/0", "gatewayId": GATEWAY}],
            TABLE_A: [],
            TABLE_B: [],
        }
    )
    interfaces: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Id of a network interface -> its description and its address in the public subnet."""

    def answer(self, deployment: Deployment) -> None:
        """Let the deployment's look-ups be answered by this."""
        deployment.recorder.cloud.answers |= {
            "aws:ec2/getVpc:getVpc": self._vpc,
            "aws:ec2/getSubnet:getSubnet": self._subnet,
            "aws:ec2/getRouteTable:getRouteTable": self._table,
            "aws:ec2/getRouteTables:getRouteTables": lambda _: {"id": "x", "ids": [], "region": "x"},
            "aws:ec2/getNetworkInterfaces:getNetworkInterfaces": self._interfaces,
        }

    def _interfaces(self, arguments: dict[str, Any]) -> dict[str, Any]:
        (name, pattern), *_ = ((each["name"], each["values"][0]) for each in arguments["filters"])
        value = {"description": 0, "addresses.private-ip-address": 1}[name]
        return {"id": "x", "ids": [each for each, is_ in self.interfaces.items() if fnmatch(is_[value], pattern)]}

    def _vpc(self, arguments: dict[str, Any]) -> dict[str, Any]:
        blocks = [{"associationId": "x", "cidrBlock": each, "state": "associated"} for each in self.cidr_blocks]
        first = {"cidrBlock": self.cidr_blocks[0], "cidrBlockAssociations": blocks}
        return {"id": arguments["id"], "mainRouteTableId": MAIN, **first}

    def _subnet(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": arguments["id"],
            "vpcId": VPC,
            "cidrBlock": self.subnets[arguments["id"]],
            "availabilityZone": self.zone,
        }

    def _table(self, arguments: dict[str, Any]) -> dict[str, Any]:
        table_id = arguments["routeTableId"]
        subnets = {TABLE_A: ["subnet-of-a"], TABLE_B: ["subnet-of-b", ""]}.get(table_id, [])
        return {
            "id": table_id,
            "vpcId": self.vpc_of_tables,
            "routes": self.routes[table_id],
            "associations": [{"subnetId": each, "main": False} for each in subnets],
        }


def existing_side(**changes: Any) -> dict[str, Any]:
    """Return a side in the existing network, as arguments."""
    return {
        "name": "uk",
        "region": "eu-west-2",
        "cidr_block": "10.1.0.0/16",
        "gateway_private_ip": "10.1.1.9",
        "existing_network": {
            "vpc_id": VPC,
            "public_subnet_id": PUBLIC,
            "private_route_table_ids": [TABLE_A, TABLE_B],
            **changes,
        },
    }
