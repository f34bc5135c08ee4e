"""The disposable machines of one site: the gateway's instance and the probe host."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi_aws import ec2, iam

from ..decisions.root_volume import shrink_refusal
from ..inputs.site import SiteSettings
from .hooks import known
from .images import Image
from .refusals import Reason, refusing
from .scope import Scope

METADATA_OPTIONS = ec2.InstanceMetadataOptionsArgs(
    http_endpoint="enabled",
    http_tokens="required",
    # One hop, so that no forwarded packet reaches the metadata service.
    http_put_response_hop_limit=1,
)


def create_gateway(
    scope: Scope,
    site: SiteSettings,
    *,
    image: Image,
    instance_type: pulumi.Input[str],
    key_pair: ec2.KeyPair,
    interface: ec2.NetworkInterface,
    instance_profile: iam.InstanceProfile | None,
    user_data_base64: pulumi.Input[str],
    changes_in_place: bool,
    replaced_for: pulumi.Input[str],
    needed_at_boot: Sequence[pulumi.Resource],
) -> ec2.Instance:
    """Create the gateway's instance on its interface.

    Other user data or another key pair replaces it, unless it `changes_in_place`: then only its next instance has them.
    Another value of `replaced_for` always replaces it.
    """
    options = pulumi.ResourceOptions(
        # An interface can be attached to one instance at a time.
        delete_before_replace=True,
        # Only the interface sets this. For an instance that does not set it, the provider assumes `true`, reads the
        # interface's `false`, and would turn the gateway's forwarding off at the next update
        # (terraform-provider-aws #44768).
        ignore_changes=["sourceDestCheck", *(["userDataBase64", "keyName"] if changes_in_place else [])],
        replacement_trigger=replaced_for,
        **_instance_options(scope, "gateway", site, image),
    )
    return ec2.Instance(
        scope.name("gateway"),
        ami=image.id,
        instance_type=instance_type,
        key_name=key_pair.key_name,
        iam_instance_profile=None if instance_profile is None else instance_profile.name,
        primary_network_interface=ec2.InstancePrimaryNetworkInterfaceArgs(network_interface_id=interface.id),
        metadata_options=METADATA_OPTIONS,
        root_block_device=_root_volume(site),
        volume_tags=scope.tags("gateway-root"),
        user_data_base64=user_data_base64,
        user_data_replace_on_change=True,
        tags=scope.tags("gateway"),
        opts=pulumi.ResourceOptions.merge(scope.options(needed_at_boot), options),
    )


def create_probe_host(
    scope: Scope,
    site: SiteSettings,
    *,
    image: Image,
    instance_type: pulumi.Input[str],
    key_pair: ec2.KeyPair,
    subnet_id: pulumi.Input[str],
    security_group: ec2.SecurityGroup,
) -> ec2.Instance:
    """Create the probe host: an instance without user data or public address, at its fixed private one."""
    # One instance at a time can have its address.
    options = pulumi.ResourceOptions(delete_before_replace=True, **_instance_options(scope, "probe-host", site, image))
    return ec2.Instance(
        scope.name("probe-host"),
        ami=image.id,
        instance_type=instance_type,
        key_name=key_pair.key_name,
        subnet_id=subnet_id,
        private_ip=str(site.probe_host_private_ip),
        vpc_security_group_ids=[security_group.id],
        metadata_options=METADATA_OPTIONS,
        root_block_device=_root_volume(site),
        volume_tags=scope.tags("private-root"),
        tags=scope.tags("private"),
        opts=pulumi.ResourceOptions.merge(scope.options(), options),
    )


def _instance_options(scope: Scope, machine: str, site: SiteSettings, image: Image) -> dict[str, Any]:
    """Return the options that gateway and probe host share. Their hooks refuse at preview, too."""
    # Before the existing instance is deleted.
    lost = refusing(scope.name(f"{machine}-refused"), image.loss)
    # Only an instance that is not replaced keeps its volume.
    shrunk = refusing(scope.name(f"{machine}-shrink-refused"), _why_not_shrink(f"{scope.site}-{machine}", site))
    return {"hooks": pulumi.ResourceHookBinding(before_create=lost, before_update=shrunk)}


def _why_not_shrink(machine: str, site: SiteSettings) -> Reason:
    async def reason(args: pulumi.ResourceHookArgs) -> str:
        before = await _root_size(args.old_outputs)
        return shrink_refusal(machine, args.urn, before=before, wanted=site.root_volume_size)

    return reason


async def _root_size(properties: Mapping[str, Any] | None) -> int | None:
    root = await known((properties or {}).get("rootBlockDevice")) or {}
    size = await known(root.get("volumeSize"))
    return None if size is None else int(size)


def _root_volume(site: SiteSettings) -> ec2.InstanceRootBlockDeviceArgs:
    # Its tags are the instance's `volume_tags`. They are part of the launch call, and an account may require that.
    return ec2.InstanceRootBlockDeviceArgs(
        encrypted=True,
        kms_key_id=site.kms_key_arn,
        volume_type="gp3",
        volume_size=site.root_volume_size,
        delete_on_termination=True,
    )
