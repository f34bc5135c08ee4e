"""A cloud on one machine: an emulated AWS API and network, with real machines."""
