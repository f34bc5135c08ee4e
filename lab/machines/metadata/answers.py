"""Path of a request -> answer of the metadata service."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

from lab.machines.metadata import tree
from lab.machines.metadata.credentials import CredentialsCache, Profile, find_profile
from lab.machines.metadata.tree import Subject

VERSIONS = ("2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23", "latest")
"""All versions serve the same content; cloud-init requests a dated one."""

_CREDENTIALS = "iam/security-credentials/"


class Answers:
    """Answers for any instance. Thread-safe."""

    def __init__(
        self,
        credentials: CredentialsCache | None = None,
        find_profile: Callable[[str, str], Profile | None] = find_profile,
    ) -> None:
        self._credentials = credentials or CredentialsCache()
        self._find_profile = find_profile
        self._pending_times: dict[str, datetime] = {}

    def get(self, subject: Subject, path: str) -> bytes | None:
        """Return the body for a path without a query, or None when the path does not exist."""
        version, _, rest = path.lstrip("/").partition("/")
        if not version:
            return "\n".join(VERSIONS).encode()
        if version not in VERSIONS:
            return None
        head, _, below = rest.partition("/")
        if head == "user-data":
            return subject.instance.user_data or None
        text = None
        if not head:
            text = "dynamic\nmeta-data" + ("\nuser-data" if subject.instance.user_data else "")
        elif head == "dynamic":
            text = self._dynamic(subject, below)
        elif head == "meta-data":
            text = self._metadata(subject, below)
        return None if text is None else text.encode()

    def _dynamic(self, subject: Subject, path: str) -> str | None:
        # The directory also answers without its last slash: cloud-init requests it so, and a failure costs minutes.
        if path == "instance-identity/document":
            pending = self._pending_times.setdefault(subject.instance.id, datetime.now(UTC))
            return tree.identity_document(subject, pending_time=pending)
        return {"": "instance-identity/", "instance-identity": "document"}.get(path.rstrip("/"))

    def _metadata(self, subject: Subject, path: str) -> str | None:
        leaves = tree.metadata(subject)
        arn = subject.instance.instance_profile_arn
        profile = self._find_profile(subject.instance.region, arn) if arn and _may_need_role(path) else None
        if profile:
            leaves["iam/info"] = _info(profile)
            leaves[_CREDENTIALS + profile.role_name] = ""
            if path == _CREDENTIALS + profile.role_name:
                return self._credentials.get(subject.instance.region, profile.role_arn, subject.instance.id).document()
        if path in leaves:
            return leaves[path]
        directory = path.rstrip("/") + "/" if path.rstrip("/") else ""
        return tree.listing(leaves, directory)


def _may_need_role(path: str) -> bool:
    return not path.rstrip("/") or path.split("/", maxsplit=1)[0] == "iam"


def _info(profile: Profile) -> str:
    document = {
        "Code": "Success",
        "LastUpdated": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "InstanceProfileArn": profile.arn,
        "InstanceProfileId": profile.id,
    }
    return json.dumps(document, indent=2)
