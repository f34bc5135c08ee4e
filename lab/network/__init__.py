"""VPC routers, subnets, route tables, Internet gateways and security groups as Linux networking."""
