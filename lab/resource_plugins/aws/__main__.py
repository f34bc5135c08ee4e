"""`python -m lab.resource_plugins.aws ENGINE_ADDRESS` serves package `aws`; AWS_ENDPOINT_URL names the API."""

from lab.resource_plugins.aws import (
    iam,
    instances,
    interfaces,
    lookups,
    policy_documents,
    routes,
    security_groups,
    ssm,
    vpc,
)
from lab.resource_plugins.aws.session import TEXTS, configure
from lab.resource_plugins.base import Provider, serve

_AREAS = (vpc, routes, security_groups, interfaces, instances, iam, ssm)

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
