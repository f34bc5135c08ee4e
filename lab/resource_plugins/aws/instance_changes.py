"""Changes of an instance in place; some of them stop and start it."""

import base64
from collections.abc import Callable
from typing import Any

from lab.resource_plugins.aws.common import ec2, filters, first, tag_list
from lab.resource_plugins.aws.instance_state import find
from lab.resource_plugins.base import Call, Properties

_STOPPED_ONLY = ("instanceType", "userData", "userDataBase64")
_FIXED_OF_ROOT = ("encrypted", "kmsKeyId", "deviceName")
_METADATA = {
    "httpEndpoint": "HttpEndpoint",
    "httpProtocolIpv6": "HttpProtocolIpv6",
    "httpPutResponseHopLimit": "HttpPutResponseHopLimit",
    "httpTokens": "HttpTokens",
    "instanceMetadataTags": "InstanceMetadataTags",
}
_VOLUME = {"iops": "Iops", "throughput": "Throughput", "volumeSize": "Size", "volumeType": "VolumeType"}


def root_needs_replacement(state: Properties, inputs: Properties) -> bool:
    """Tell whether a change of the root volume needs a new instance, as a change of its encryption does."""
    old, new = state.get("rootBlockDevice") or {}, inputs.get("rootBlockDevice") or {}
    return any(key in new and new[key] != old.get(key) for key in _FIXED_OF_ROOT)


def change(call: Call, instance_id: str, state: Properties, inputs: Properties, changed: frozenset[str]) -> None:
    """Change an instance in place; stop and start it for a new type or new user data."""
    api = ec2(call, state)
    if "rootBlockDevice" in changed:
        _root_volume(call, api, instance_id, state, inputs)
    for key in sorted(changed & _CHANGES.keys()):
        _CHANGES[key](api, instance_id, state, inputs)
    stopped_only = sorted(changed & set(_STOPPED_ONLY))
    if stopped_only:
        _while_stopped(call, api, instance_id, lambda: _change_stopped(api, instance_id, inputs, stopped_only))


def _while_stopped(call: Call, api: Any, instance_id: str, action: Callable[[], None]) -> None:
    def is_in(state: str) -> Callable[[], bool]:
        def probe() -> bool:
            instance = find(api, instance_id)
            if instance is None:
                raise RuntimeError(f"instance {instance_id} no longer exists")
            return bool(instance["State"]["Name"] == state)

        return probe

    api.stop_instances(InstanceIds=[instance_id])
    call.wait_until(f"instance {instance_id} stopped", is_in("stopped"))
    action()
    api.start_instances(InstanceIds=[instance_id])
    call.wait_until(f"instance {instance_id} running", is_in("running"))


def _change_stopped(api: Any, instance_id: str, inputs: Properties, changed: list[str]) -> None:
    if "instanceType" in changed:
        api.modify_instance_attribute(InstanceId=instance_id, InstanceType={"Value": inputs["instanceType"]})
    if "userData" in changed or "userDataBase64" in changed:
        raw = base64.b64decode(inputs["userDataBase64"]) if "userDataBase64" in inputs else inputs["userData"].encode()
        api.modify_instance_attribute(InstanceId=instance_id, UserData={"Value": raw})


def _profile(api: Any, instance_id: str, _state: Properties, inputs: Properties) -> None:
    association = first(
        api.describe_iam_instance_profile_associations,
        "IamInstanceProfileAssociations",
        Filters=filters(instance_id=instance_id, state=["associating", "associated"]),
    )
    profile = {"Name": inputs.get("iamInstanceProfile")}
    if association and profile["Name"]:
        api.replace_iam_instance_profile_association(
            AssociationId=association["AssociationId"], IamInstanceProfile=profile
        )
    elif association:
        api.disassociate_iam_instance_profile(AssociationId=association["AssociationId"])
    else:
        api.associate_iam_instance_profile(InstanceId=instance_id, IamInstanceProfile=profile)


def _source_dest_check(api: Any, instance_id: str, _state: Properties, inputs: Properties) -> None:
    api.modify_instance_attribute(InstanceId=instance_id, SourceDestCheck={"Value": inputs["sourceDestCheck"]})


def _groups(api: Any, _instance_id: str, state: Properties, inputs: Properties) -> None:
    interface = state["primaryNetworkInterfaceId"]
    groups = inputs["vpcSecurityGroupIds"]
    api.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=groups)


def _monitoring(api: Any, instance_id: str, _state: Properties, inputs: Properties) -> None:
    action = api.monitor_instances if inputs["monitoring"] else api.unmonitor_instances
    action(InstanceIds=[instance_id])


def _metadata_options(api: Any, instance_id: str, state: Properties, inputs: Properties) -> None:
    merged = {**(state.get("metadataOptions") or {}), **inputs["metadataOptions"]}
    options = {name: merged[key] for key, name in _METADATA.items() if merged.get(key) is not None}
    api.modify_instance_metadata_options(InstanceId=instance_id, **options)


def _credits(api: Any, instance_id: str, _state: Properties, inputs: Properties) -> None:
    specification = {"InstanceId": instance_id, "CpuCredits": inputs["creditSpecification"]["cpuCredits"]}
    api.modify_instance_credit_specification(InstanceCreditSpecifications=[specification])


def _root_volume(call: Call, api: Any, instance_id: str, state: Properties, inputs: Properties) -> None:
    old, new = state["rootBlockDevice"], inputs["rootBlockDevice"]
    changed = {name: new[key] for key, name in _VOLUME.items() if new.get(key) not in {None, old.get(key)}}
    if changed:
        api.modify_volume(VolumeId=old["volumeId"], **changed)
        call.wait_until(f"volume {old['volumeId']} modified", lambda: _is_modified(api, old["volumeId"]))
    if "deleteOnTermination" in new and new["deleteOnTermination"] != old.get("deleteOnTermination"):
        mapping = {"DeviceName": old["deviceName"], "Ebs": {"DeleteOnTermination": new["deleteOnTermination"]}}
        api.modify_instance_attribute(InstanceId=instance_id, BlockDeviceMappings=[mapping])
    if "tags" in new:
        _retag(api, old["volumeId"], old.get("tags") or {}, new["tags"])


def _is_modified(api: Any, volume: str) -> bool:
    """Tell whether the last modification of a volume counts, as the real provider does (ec2_instance.go)."""
    modifications = api.describe_volumes_modifications(VolumeIds=[volume])["VolumesModifications"]
    last = max(modifications, key=lambda each: each["StartTime"])
    if last["ModificationState"] == "failed":
        raise RuntimeError(f"the modification of volume {volume} has failed: {last.get('StatusMessage')}")
    return last["ModificationState"] in {"optimizing", "completed"}


def _volume_tags(api: Any, _instance_id: str, state: Properties, inputs: Properties) -> None:
    volume = (state.get("rootBlockDevice") or {}).get("volumeId")
    if volume:
        _retag(api, volume, state.get("volumeTags") or {}, inputs.get("volumeTags") or {})


def _retag(api: Any, resource_id: str, old: Properties, new: Properties) -> None:
    removed = [{"Key": key} for key in sorted(old.keys() - new.keys())]
    if removed:
        api.delete_tags(Resources=[resource_id], Tags=removed)
    if new:
        api.create_tags(Resources=[resource_id], Tags=tag_list(new))


def _attribute(key: str, name: str) -> Callable[[Any, str, Properties, Properties], None]:
    def modify(api: Any, instance_id: str, _state: Properties, inputs: Properties) -> None:
        api.modify_instance_attribute(InstanceId=instance_id, **{name: {"Value": inputs[key]}})

    return modify


_CHANGES: dict[str, Callable[[Any, str, Properties, Properties], None]] = {
    "iamInstanceProfile": _profile,
    "sourceDestCheck": _source_dest_check,
    "vpcSecurityGroupIds": _groups,
    "monitoring": _monitoring,
    "metadataOptions": _metadata_options,
    "creditSpecification": _credits,
    "volumeTags": _volume_tags,
    "disableApiTermination": _attribute("disableApiTermination", "DisableApiTermination"),
    "disableApiStop": _attribute("disableApiStop", "DisableApiStop"),
    "instanceInitiatedShutdownBehavior": _attribute(
        "instanceInitiatedShutdownBehavior", "InstanceInitiatedShutdownBehavior"
    ),
}
