"""A cloud on one machine: AWS's API, network and machines, as the programs under test see them."""
