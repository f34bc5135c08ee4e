"""Functions that look something up in the API."""

from lab.resource_plugins.aws.lookups import account, addresses, images, networks

FUNCTIONS = (*addresses.FUNCTIONS, *images.FUNCTIONS, *networks.FUNCTIONS, *account.FUNCTIONS)
