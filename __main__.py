"""The program: settings -> VpnGatewayPair -> outputs."""

import gc

import pulumi

from components import VpnGatewayPair
from components.inputs.stack_configuration import errors_as_configured, pair_arguments

# Imported modules are not garbage. Looking through them takes most of a second of each run.
gc.freeze()

arguments = pair_arguments(pulumi.Config())
with errors_as_configured():
    pair = VpnGatewayPair("vpn", arguments)

pulumi.export("left", pair.left)
pulumi.export("right", pair.right)
pulumi.export("profile", pair.profile)
pulumi.export("ssh_private_key", pair.ssh_private_key)
pulumi.export("verification", pair.verification)
pulumi.export("rotate_command", pair.rotate_command)
