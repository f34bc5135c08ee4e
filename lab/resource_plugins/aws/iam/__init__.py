"""IAM roles, their policies, and instance profiles."""

from lab.resource_plugins.aws.iam import instance_profiles, role_policies, roles

RESOURCES = (*roles.RESOURCES, *role_policies.RESOURCES, *instance_profiles.RESOURCES)
