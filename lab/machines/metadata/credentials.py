"""Temporary credentials of an instance's role, for the metadata service."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lab.api.client import client

_DURATION = timedelta(hours=1)
# IAM user guide: new credentials are available at least five minutes before the old ones expire.
_RENEW_BEFORE = timedelta(minutes=10)
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """An instance profile with its role."""

    arn: str
    id: str
    role_name: str
    role_arn: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Credentials:
    """The result of AssumeRole. Its string form shows no secrets."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    last_updated: datetime
    expiration: datetime

    def document(self) -> str:
        """Return the JSON text of `iam/security-credentials/<role>`."""
        return json.dumps(
            {
                "Code": "Success",
                "LastUpdated": self.last_updated.strftime(_TIME_FORMAT),
                "Type": "AWS-HMAC",
                "AccessKeyId": self.access_key_id,
                "SecretAccessKey": self.secret_access_key,
                "Token": self.session_token,
                "Expiration": self.expiration.strftime(_TIME_FORMAT),
            },
            indent=2,
        )


def find_profile(region: str, arn: str) -> Profile | None:
    """Return the instance profile from the API; None when it has no role."""
    name = arn.rpartition("/")[2]
    answer = client("iam", region).get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    if not answer["Roles"]:
        return None
    role = answer["Roles"][0]
    return Profile(arn=answer["Arn"], id=answer["InstanceProfileId"], role_name=role["RoleName"], role_arn=role["Arn"])


def assume(region: str, role_arn: str, session_name: str) -> Credentials:
    """Return new credentials of the role from the API, valid for one hour."""
    answer = client("sts", region).assume_role(
        RoleArn=role_arn, RoleSessionName=session_name, DurationSeconds=int(_DURATION.total_seconds())
    )["Credentials"]
    return Credentials(
        access_key_id=answer["AccessKeyId"],
        secret_access_key=answer["SecretAccessKey"],
        session_token=answer["SessionToken"],
        last_updated=datetime.now(UTC),
        expiration=answer["Expiration"],
    )


class CredentialsCache:
    """Credentials by instance and role, renewed before they expire. Thread-safe."""

    def __init__(self, assume_role: Callable[[str, str, str], Credentials] = assume) -> None:
        self._assume = assume_role
        self._credentials: dict[tuple[str, str], Credentials] = {}
        self._lock = threading.Lock()

    def get(self, region: str, role_arn: str, instance_id: str) -> Credentials:
        """Return credentials that are valid for at least ten minutes."""
        key = (instance_id, role_arn)
        with self._lock:
            credentials = self._credentials.get(key)
            if credentials is None or credentials.expiration - datetime.now(UTC) < _RENEW_BEFORE:
                credentials = self._credentials[key] = self._assume(region, role_arn, instance_id)
            return credentials
