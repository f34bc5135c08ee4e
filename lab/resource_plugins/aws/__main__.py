"""`python -m lab.resource_plugins.aws ENGINE_ADDRESS` serves package `aws`; AWS_ENDPOINT_URL is the API's address."""

from lab.resource_plugins.aws import (
    cloudwatch,
    elastic_addresses,
    iam,
    instances,
    internet_gateways,
    key_pairs,
    lookups,
    network_interfaces,
    policy_documents,
    routes,
    security_group_rules,
    security_groups,
    ssm,
    subnets,
    vpcs,
)
from lab.resource_plugins.aws.session import TEXTS, configure
from lab.resource_plugins.base import Provider, serve

_AREAS = (
    vpcs,
    subnets,
    internet_gateways,
    routes,
    security_groups,
    security_group_rules,
    network_interfaces,
    elastic_addresses,
    key_pairs,
    instances,
    iam,
    ssm,
    cloudwatch,
)

if __name__ == "__main__":
    serve(
        Provider(
            "aws",
            [resource for area in _AREAS for resource in area.RESOURCES],
            [*lookups.FUNCTIONS, *policy_documents.FUNCTIONS],
            configure=configure,
            texts=TEXTS,
            replacing_settings=("region",),
        )
    )
