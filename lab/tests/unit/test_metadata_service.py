"""The instance metadata service over real HTTP on loopback, and its tree.

Proves the protocol of IMDSv2 and the paths that cloud-init reads. Does not use a namespace or a guest. Nothing to clean
up.
"""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any

import pytest

from lab import settings
from lab.machines.metadata import tree
from lab.machines.metadata.answers import Answers
from lab.machines.metadata.credentials import Credentials, CredentialsCache, Profile
from lab.machines.metadata.server import MetadataServer
from lab.machines.metadata.tokens import Tokens, lifetime
from lab.tests.network_world import UK, article
from lab.world import Instance, World

USER_DATA = b"#cloud-config\n\xff\x00{}\n"
KEY = "ssh-ed25519 AAAA admin@laptop"
PROFILE = Profile(
    arn="arn:aws:iam::1:instance-profile/p", id="AIPA1", role_name="gateway", role_arn="arn:aws:iam::1:role/gateway"
)
TOKEN, LIFETIME = "X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds"


def world() -> World:
    def with_key(instance: Instance) -> Instance:
        if instance.id != UK.instance_id("gateway"):
            return instance
        return replace(instance, ssh_public_key=KEY, instance_profile_arn=PROFILE.arn)

    base = article(user_data=USER_DATA)
    return replace(base, instances=tuple(with_key(instance) for instance in base.instances))


WORLD = world()


@dataclass
class Clock:
    """A clock that tests set."""

    now: float = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Sts:
    """A stand-in for STS that returns numbered credentials."""

    def __init__(self, valid: timedelta = timedelta(hours=1)) -> None:
        self.calls: list[tuple[str, str, str]] = []
        self.valid = valid

    def __call__(self, region: str, role_arn: str, session_name: str) -> Credentials:
        """Answer AssumeRole."""
        self.calls.append((region, role_arn, session_name))
        number = len(self.calls)
        now = datetime.now(UTC)
        return Credentials(
            access_key_id=f"ASIA{number}",
            secret_access_key=f"secret{number}",
            session_token=f"token{number}",
            last_updated=now,
            expiration=now + self.valid,
        )


@dataclass
class Service:
    """A running service and the address of its caller."""

    port: int
    clock: Clock
    sts: Sts
    address: str = UK.gateway

    def request(self, method: str, path: str, **headers: str) -> tuple[int, bytes, Any]:
        """Return status, body and headers."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.read(), response.headers

    def token(self, seconds: str = "60") -> str:
        """Return a new token."""
        status, body, _ = self.request("PUT", "/latest/api/token", **{LIFETIME: seconds})
        assert status == 200
        return body.decode()

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of a GET with a new token."""
        return self.request("GET", path, **{TOKEN: self.token()})[:2]


@pytest.fixture
def service() -> Iterator[Service]:
    clock, sts = Clock(), Sts()
    listener = socket.create_server(("127.0.0.1", 0))
    running = Service(listener.getsockname()[1], clock, sts)
    server = MetadataServer(
        listener,
        lambda _: tree.find(WORLD, UK.vpc_id, running.address),
        Tokens(clock),
        Answers(CredentialsCache(sts), lambda _region, arn: PROFILE if arn == PROFILE.arn else None),
    )
    yield running
    server.close()


def test_a_request_without_a_valid_token_is_refused(service: Service) -> None:
    assert service.request("GET", "/latest/meta-data/")[0] == 401
    assert service.request("GET", "/latest/user-data", **{TOKEN: "guessed"})[0] == 401


def test_a_token_expires_after_the_requested_lifetime(service: Service) -> None:
    token = service.token("60")
    status, _, headers = service.request("GET", "/latest/meta-data/instance-id", **{TOKEN: token})
    assert (status, headers[LIFETIME]) == (200, "60")
    service.clock.now = 60.0
    assert service.request("GET", "/latest/meta-data/instance-id", **{TOKEN: token})[0] == 401


def test_a_token_of_one_instance_is_invalid_for_another(service: Service) -> None:
    token = service.token()
    service.address = UK.host
    assert service.request("GET", "/latest/meta-data/instance-id", **{TOKEN: token})[0] == 401


def test_a_request_through_a_proxy_gets_no_token(service: Service) -> None:
    assert service.request("PUT", "/latest/api/token", **{LIFETIME: "60", "X-Forwarded-For": "10.0.0.1"})[0] == 403


@pytest.mark.parametrize("seconds", ["0", "21601", "-1", "1.5", "", "²"])
def test_a_lifetime_outside_one_second_to_six_hours_is_refused(seconds: str) -> None:
    assert lifetime(seconds) is None


def test_a_token_without_a_lifetime_is_a_bad_request(service: Service) -> None:
    assert service.request("PUT", "/latest/api/token")[0] == 400


def test_tokens_are_issued_at_one_path_only(service: Service) -> None:
    assert service.request("PUT", "/latest/meta-data/", **{LIFETIME: "60"})[0] == 405


def test_a_request_from_an_address_that_no_instance_has_is_not_found(service: Service) -> None:
    service.address = "10.1.1.7"
    assert service.request("PUT", "/latest/api/token", **{LIFETIME: "60"})[0] == 404


def test_user_data_is_served_byte_for_byte(service: Service) -> None:
    assert service.get("/latest/user-data") == (200, USER_DATA)


def test_an_instance_without_user_data_has_none(service: Service) -> None:
    service.address = UK.host
    assert service.get("/latest/user-data")[0] == 404
    assert service.get("/latest/") == (200, b"dynamic\nmeta-data")


def test_the_metadata_describe_the_instance_and_its_network(service: Service) -> None:
    mac = next(eni.mac_address for eni in WORLD.vpcs[0].network_interfaces if str(eni.private_ip) == UK.gateway)
    directory = f"network/interfaces/macs/{mac}/"
    for path, value in {
        "instance-id": UK.instance_id("gateway"),
        "local-ipv4": UK.gateway,
        "public-ipv4": UK.elastic_ip,
        "hostname": "ip-10-1-1-254.eu-west-2.compute.internal",
        "placement/region": "eu-west-2",
        "mac": mac,
        directory + "vpc-ipv4-cidr-block": UK.cidr_block,
        directory + "subnet-ipv4-cidr-block": UK.public_subnet,
        directory + f"ipv4-associations/{UK.elastic_ip}": UK.gateway,
        "public-keys/0/openssh-key": KEY + "\n",
    }.items():
        assert service.get(f"/latest/meta-data/{path}") == (200, value.encode()), path


def test_a_private_host_has_no_public_address(service: Service) -> None:
    service.address = UK.host
    assert service.get("/latest/meta-data/public-ipv4")[0] == 404


def test_every_listed_name_can_be_read(service: Service) -> None:
    """Crawl as cloud-init does: a name that ends in / is a directory, a key's name is `index=name`."""
    seen: dict[str, bytes] = {}

    def crawl(directory: str) -> None:
        status, body = service.get(directory)
        assert status == 200, directory
        for line in body.decode().splitlines():
            name = line.split("=")[0] + "/" if directory.endswith("public-keys/") else line
            if name.endswith("/"):
                crawl(directory + name)
            else:
                status, seen[directory + name] = service.get(directory + name)
                assert status == 200, directory + name

    crawl("/2021-03-23/meta-data/")
    assert "/2021-03-23/meta-data/public-keys/0/openssh-key" in seen
    assert "/2021-03-23/meta-data/iam/security-credentials/gateway" in seen
    assert len(seen) > 25


def test_the_directory_of_the_identity_document_answers_without_its_last_slash(service: Service) -> None:
    assert service.get("/latest/dynamic/instance-identity") == (200, b"document")
    document = json.loads(service.get("/latest/dynamic/instance-identity/document")[1])
    assert document["instanceId"] == UK.instance_id("gateway")
    assert (document["region"], document["accountId"]) == ("eu-west-2", settings.ACCOUNT_ID)


@pytest.mark.parametrize(
    "path", ["/latest/meta-data/nothing", "/latest/nothing", "/1999-01-01/", "/latest/dynamic/fws"]
)
def test_an_unknown_path_is_not_found(service: Service, path: str) -> None:
    assert service.get(path)[0] == 404


def test_the_roles_credentials_come_from_assume_role_with_the_instances_id_as_session_name(service: Service) -> None:
    assert service.get("/latest/meta-data/iam/security-credentials/") == (200, b"gateway")
    document = json.loads(service.get("/latest/meta-data/iam/security-credentials/gateway")[1])
    assert service.sts.calls == [("eu-west-2", PROFILE.role_arn, UK.instance_id("gateway"))]
    assert {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIA1",
        "Token": "token1",
    }.items() <= document.items()
    assert json.loads(service.get("/latest/meta-data/iam/info")[1])["InstanceProfileArn"] == PROFILE.arn


def test_credentials_are_cached_and_renewed_before_they_expire(service: Service) -> None:
    def key() -> str:
        body = service.get("/latest/meta-data/iam/security-credentials/gateway")[1]
        return str(json.loads(body)["AccessKeyId"])

    assert (key(), key()) == ("ASIA1", "ASIA1")
    service.sts.valid = timedelta(minutes=9)
    cache = CredentialsCache(service.sts)
    assert cache.get("r", "role", "i").access_key_id != cache.get("r", "role", "i").access_key_id


def test_an_instance_without_a_profile_has_no_credentials(service: Service) -> None:
    service.address = UK.host
    assert service.get("/latest/meta-data/iam/security-credentials/")[0] == 404


def test_the_string_form_of_credentials_shows_no_secrets() -> None:
    credentials = Sts()("r", "role", "i")
    assert "secret1" not in repr(credentials)
    assert "token1" not in f"{credentials}"


def test_a_failing_api_is_answered_with_service_unavailable(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionError("the API is down")

    monkeypatch.setattr(service.sts.__class__, "__call__", refuse)
    assert service.get("/latest/meta-data/iam/security-credentials/gateway")[0] == 503
