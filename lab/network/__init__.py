"""VPC routers, subnets, route tables, Internet gateways and security groups as Linux networking."""

from lab.network import teardown
from lab.network.reconciler import Network

__all__ = ["Network", "teardown"]
