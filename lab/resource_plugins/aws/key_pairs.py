"""Key pairs."""

from typing import Any

from lab.resource_plugins.aws.common import (
    FIXED_CHOSEN,
    ec2,
    first,
    ignoring_errors,
    region_of,
    regional,
    retag_ec2,
    session_of,
    tag_specifications,
    tagged,
    tags_read,
)
from lab.resource_plugins.base import Call, Input, Properties, Resource

_KEY_GONE = ("InvalidKeyPair.NotFound",)


def _import_key(call: Call, inputs: Properties) -> str:
    key = ec2(call, inputs).import_key_pair(
        KeyName=inputs["keyName"],
        PublicKeyMaterial=inputs["publicKey"].encode(),
        **tag_specifications("key-pair", inputs.get("tags")),
    )
    return call.created(key["KeyName"])


def _read_key(call: Call, name: str, state: Properties) -> Properties | None:
    key = first(ec2(call, state).describe_key_pairs, "KeyPairs", _KEY_GONE, KeyNames=[name])
    if key is None:
        return None
    session, region = session_of(call), region_of(call, state)
    return {
        "arn": session.arn("ec2", f"key-pair/{name}", region=region),
        "fingerprint": key["KeyFingerprint"],
        "keyName": key["KeyName"],
        "keyPairId": key["KeyPairId"],
        "keyType": key.get("KeyType"),
        **tags_read(call, key.get("Tags")),
    }


def _delete_key(call: Call, name: str, state: Properties) -> None:
    with ignoring_errors(*_KEY_GONE):
        ec2(call, state).delete_key_pair(KeyName=name)


def _retag_key(call: Call, _name: str, state: Properties, removed: Any, added: Any) -> None:
    retag_ec2(call, state["keyPairId"], state, removed, added)


def _same_key(one: str, other: str) -> bool:
    return one.strip() == other.strip()


KEY_PAIR = regional(
    tagged(
        Resource(
            "aws:ec2/keyPair:KeyPair",
            {
                "keyName": FIXED_CHOSEN,
                "publicKey": Input(required=True, replaces=True, same=_same_key),
            },
            _import_key,
            _read_key,
            delete=_delete_key,
            outputs=("arn", "fingerprint", "keyPairId", "keyType"),
            auto_name="keyName",
        ),
        _retag_key,
    )
)

RESOURCES = (KEY_PAIR,)
