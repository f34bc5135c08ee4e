"""The configuration of an `aws.Provider`: region, credentials, default tags, and the API clients."""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.loaders import create_loader

from lab.resource_plugins.base import Properties

TEXTS = frozenset({
    "accessKey", "customCaBundle", "ec2MetadataServiceEndpoint", "ec2MetadataServiceEndpointMode", "httpProxy",
    "httpsProxy", "noProxy", "profile", "region", "retryMode", "s3UsEast1RegionalEndpoint", "secretKey", "stsRegion",
    "tagPolicyCompliance", "token", "version",
})  # fmt: skip
"""The string settings; all others arrive as JSON."""

_MOST_CONNECTIONS = 64
_RETRIES = 5

_LOADER: Final = create_loader()
"""Botocore's data for all sessions. It is read at the import, because reading it takes longer than all calls of a
preview, and `lab.engine.warm` imports this module once for all plugins."""
_LOADER.load_data("endpoints")
for _service in ("cloudwatch", "ec2", "iam", "ssm", "sts"):
    for _data in ("service-2", "endpoint-rule-set-1"):
        _LOADER.load_service_model(_service, _data)


class ConfigurationError(Exception):
    """The provider's settings cannot be used."""


@dataclass
class Session:
    """A provider's account and region."""

    core: botocore.session.Session
    region: str
    default_tags: Mapping[str, str] = field(default_factory=dict)
    ignored_tags: Collection[str] = ()
    ignored_tag_prefixes: Sequence[str] = ()
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Service name -> URL; other services use AWS_ENDPOINT_URL or AWS itself."""
    retries: int = _RETRIES
    verify: bool | str | None = None
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    # Loading a service's model is slow, and not thread-safe in botocore.
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def client(self, service: str, region: str | None = None) -> Any:
        """Return the API client of `service` in `region`, by default the provider's."""
        key = (service, region or self.region)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self.core.create_client(
                    service,
                    region_name=key[1],
                    endpoint_url=self.endpoints.get(service),
                    verify=self.verify,
                    config=Config(
                        max_pool_connections=_MOST_CONNECTIONS,
                        retries={"mode": "standard", "max_attempts": self.retries},
                    ),
                )
            return self._clients[key]

    @cached_property
    def identity(self) -> Properties:
        """The caller's identity: `Account`, `Arn`, `UserId`."""
        return dict(self.client("sts").get_caller_identity())

    @property
    def account(self) -> str:
        """The id of the account."""
        return str(self.identity["Account"])

    @cached_property
    def partition(self) -> Properties:
        """Botocore's data about the region's partition: `id`, `outputs`, `regions`."""
        partitions = self.core.get_component("data_loader").load_data("partitions")["partitions"]
        matching = (each for each in partitions if self.region in each["regions"])
        return dict(next(matching, partitions[0]))

    def arn(self, service: str, resource: str, *, region: str | None = None, account: str | None = None) -> str:
        """Return the ARN of a regional resource, by default of this region and account."""
        return f"arn:{self.partition['id']}:{service}:{region or self.region}:{account or self.account}:{resource}"

    def own_tags(self, tags: Mapping[str, str]) -> dict[str, str]:
        """Return the tags without AWS's own and without those that the provider ignores."""
        prefixes = ("aws:", *self.ignored_tag_prefixes)
        return {
            key: value for key, value in tags.items() if not key.startswith(prefixes) and key not in self.ignored_tags
        }


def configure(settings: Properties) -> Session:
    """Return the session for a provider's settings.

    Checks the credentials with a call of STS, unless the settings skip that. Raises ConfigurationError without a
    region, without usable credentials, and for an account that is not allowed.
    """
    core = botocore.session.Session(profile=settings.get("profile"))
    core.register_component("data_loader", _LOADER)
    for setting, variable in (("sharedConfigFiles", "config_file"), ("sharedCredentialsFiles", "credentials_file")):
        if settings.get(setting):
            core.set_config_variable(variable, settings[setting][0])
    region = settings.get("region") or core.get_config_variable("region")
    if not region:
        raise ConfigurationError("Missing region configuration: set aws:region, the provider's region, or AWS_REGION")
    # The region for STS to assume roles in, regardless of the environment.
    core.set_config_variable("region", region)
    if settings.get("accessKey"):
        core.set_credentials(settings["accessKey"], settings.get("secretKey") or "", settings.get("token"))
    for role in settings.get("assumeRoles") or []:
        _assume(core, role)
    session = _session(core, region, settings)
    if not settings.get("skipCredentialsValidation"):
        _check_credentials(session, settings)
    return session


def _session(core: botocore.session.Session, region: str, settings: Properties) -> Session:
    ignore = settings.get("ignoreTags") or {}
    return Session(
        core,
        region,
        default_tags=(settings.get("defaultTags") or {}).get("tags") or {},
        ignored_tags=frozenset(ignore.get("keys") or ()),
        ignored_tag_prefixes=tuple(ignore.get("keyPrefixes") or ()),
        endpoints={name: url for each in settings.get("endpoints") or [] for name, url in each.items() if url},
        retries=settings.get("maxRetries") or _RETRIES,
        verify=False if settings.get("insecure") else settings.get("customCaBundle"),
    )


def _assume(core: botocore.session.Session, role: Properties) -> None:
    arguments = {
        "RoleSessionName": role.get("sessionName"),
        "ExternalId": role.get("externalId"),
        "Policy": role.get("policy"),
        "SourceIdentity": role.get("sourceIdentity"),
        "PolicyArns": [{"arn": arn} for arn in role.get("policyArns") or []],
        "Tags": [{"Key": key, "Value": value} for key, value in (role.get("tags") or {}).items()],
        "TransitiveTagKeys": role.get("transitiveTagKeys"),
    }
    fetcher = AssumeRoleCredentialFetcher(
        core.create_client,
        core.get_credentials(),
        role["roleArn"],
        extra_args={key: value for key, value in arguments.items() if value},
    )
    # botocore has no public method to give a session credentials that renew themselves.
    core._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")  # type: ignore[attr-defined]


def _check_credentials(session: Session, settings: Properties) -> None:
    try:
        account = session.account
    except Exception as error:
        raise ConfigurationError(
            f"unable to validate AWS credentials in {session.region}: {error}; set the provider's profile or keys, "
            "or AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    allowed, forbidden = settings.get("allowedAccountIds"), settings.get("forbiddenAccountIds") or []
    if (allowed and account not in allowed) or account in forbidden:
        raise ConfigurationError(f"AWS account ID not allowed: {account}")
