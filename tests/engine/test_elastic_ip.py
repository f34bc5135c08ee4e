"""Elastic IPs of the caller's, and those that are kept, with the real engine and the lab's API, without machines.

Proves that such an address is associated and never released, and that one that is in use is refused before anything
changes. There is nothing to clean up.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.engine.api_process import running_api
from tests.engine.program_stack import ProgramStack

pytestmark = [pytest.mark.engine, pytest.mark.whole]

LEFT, RIGHT = "eu-west-2", "ap-southeast-2"
IN_USE = "allocation_id '{}': is in use by {} (theirs); disassociate it there, or give another"


def test_an_own_address_is_used_and_given_back_and_a_created_one_can_be_retained(
    engine_environment: dict[str, str], tmp_path: Path
) -> None:
    with running_api() as api:
        stack = ProgramStack(tmp_path / "stack", api).make(engine_environment)
        ec2 = api.client("ec2", LEFT)

        def addresses() -> dict[str, Any]:
            return {each["AllocationId"]: each for each in ec2.describe_addresses()["Addresses"]}

        own = ec2.allocate_address(Domain="vpc")["AllocationId"]
        interface = _interface_of_others(ec2)
        others = api.left_over(LEFT)
        stack.up()
        first = stack.ids()

        association = ec2.associate_address(AllocationId=own, NetworkInterfaceId=interface)
        stack.cli("config", "set", "leftAllocationId", own)
        for operation in ("preview", "up"):
            refused = stack.run(operation, code=1) if operation == "preview" else stack.up(code=1)
            assert IN_USE.format(own, interface) in refused.output
        assert stack.ids() == first
        assert addresses()[own]["NetworkInterfaceId"] == interface

        ec2.disassociate_address(AssociationId=association["AssociationId"])
        stack.up()
        assert addresses()[own]["NetworkInterfaceId"] == first["vpn-uk-gateway-interface"]
        assert first["vpn-uk-gateway-address"] not in addresses()
        assert stack.run("preview").operations == {}

        stack.cli("config", "rm", "leftAllocationId")
        stack.cli("config", "set", "leftRetainElasticIp", "true")
        stack.up()
        retained = stack.ids()["vpn-uk-gateway-address"]
        assert "AssociationId" not in addresses()[own]
        # The same address under its other setting: nothing happens to it.
        stack.cli("config", "rm", "leftRetainElasticIp")
        stack.cli("config", "set", "leftAllocationId", retained)
        stack.up()
        assert addresses()[retained]["NetworkInterfaceId"] == stack.ids()["vpn-uk-gateway-interface"]

        stack.destroy()
        assert addresses().keys() == {own, retained}
        assert not any("AssociationId" in each for each in addresses().values())
        ec2.release_address(AllocationId=retained)
        assert sorted(api.left_over(LEFT)) == sorted(others)
        assert api.left_over(RIGHT) == []


def _interface_of_others(ec2: Any) -> str:
    """Create a network interface that does not belong to the pair, in a network with a way out; return its id."""
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    way_out = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=way_out, VpcId=vpc)
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    interface = ec2.create_network_interface(SubnetId=subnet, Description="theirs")["NetworkInterface"]
    return str(interface["NetworkInterfaceId"])
