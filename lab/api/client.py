"""boto3 clients for the lab's own use: its endpoint, its administrator, short timeouts."""

from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Literal, overload

import boto3
from botocore.config import Config

from lab import settings

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_ssm import SSMClient

ACCESS_KEY_ID: Final = "test"
SECRET_ACCESS_KEY: Final = "test"  # noqa: S105 - the lab's administrator; it protects nothing

_CONFIG: Final = Config(
    connect_timeout=2,
    read_timeout=30,
    retries={"mode": "standard", "max_attempts": 3},
    max_pool_connections=20,
)


@overload
def client(service: Literal["ec2"], region: str, endpoint_url: str = ...) -> "EC2Client": ...
@overload
def client(service: Literal["iam"], region: str, endpoint_url: str = ...) -> "IAMClient": ...
@overload
def client(service: Literal["ssm"], region: str, endpoint_url: str = ...) -> "SSMClient": ...
@overload
def client(service: Literal["cloudwatch", "sts"], region: str, endpoint_url: str = ...) -> Any: ...
def client(service: str, region: str, endpoint_url: str = settings.API_URL) -> Any:
    """Return the cached client of a service (`cloudwatch`, `ec2`, …) in a region. Clients are thread-safe."""
    return _client(service, region, endpoint_url)


# One session for all clients: its loader keeps EC2's model, which takes a third of a second to read. Creating a client
# is not thread-safe.
_lock = Lock()


@lru_cache(maxsize=1)
def _session() -> boto3.session.Session:
    return boto3.session.Session(aws_access_key_id=ACCESS_KEY_ID, aws_secret_access_key=SECRET_ACCESS_KEY)


@lru_cache(maxsize=64)
def _client(service: str, region: str, endpoint_url: str) -> Any:
    factory: Any = _session().client
    with _lock:
        return factory(service, region_name=region, endpoint_url=endpoint_url, config=_CONFIG)
