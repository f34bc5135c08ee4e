"""The server around moto: the lab's own paths, unknown services, concurrent callers, the list of corrections."""

import json
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from moto.ec2.models.elastic_ip_addresses import ElasticAddressBackend

from lab.api import corrections
from lab.api.client import client
from lab.api.corrections import IncompatibleMotoError, corrects, verify
from lab.api.journal import Journal
from lab.api.rules import listing
from lab.tests.unit.api_stack import Site, au, error_code, lab_path, uk


def test_a_change_wakes_the_waiting_data_plane(api: str) -> None:
    ec2 = client("ec2", "eu-west-2", api)
    before = lab_path(api, "/_lab/generation")["generation"]
    answers: list[tuple[float, Any]] = []

    def wait() -> None:
        answer = lab_path(api, f"/_lab/generation?after={before}&timeout=60")
        answers.append((time.monotonic(), answer))

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.2)
    ec2.describe_vpcs()
    assert not answers, "a read-only call is no change"
    called = time.monotonic()
    ec2.create_internet_gateway()
    thread.join(timeout=60)
    [(answered, answer)] = answers
    assert answered - called < 30, "half of what it would have waited"
    assert answer["generation"] > before
    assert answer["regions"]["eu-west-2"] == answer["generation"]


def test_waiting_without_a_change_ends_at_the_timeout(api: str) -> None:
    before = lab_path(api, "/_lab/generation")["generation"]
    started = time.monotonic()
    assert lab_path(api, f"/_lab/generation?after={before}&timeout=0.2")["generation"] == before
    assert time.monotonic() - started >= 0.2


def test_a_refused_call_is_recorded_but_is_no_change(api: str) -> None:
    ec2 = client("ec2", "eu-west-2", api)
    before = lab_path(api, "/_lab/generation")["generation"]
    last = lab_path(api, "/_lab/calls")[-1]["sequence"]
    assert error_code(ec2.delete_vpc, VpcId="vpc-00000000000000000") == "InvalidVpcID.NotFound"
    assert lab_path(api, "/_lab/generation")["generation"] == before
    [call] = lab_path(api, f"/_lab/calls?after={last}")
    assert (call["region"], call["service"], call["action"]) == ("eu-west-2", "ec2", "DeleteVpc")
    assert (call["error_code"], call["principal"]) == ("InvalidVpcID.NotFound", "administrator")
    assert call["duration_ms"] > 0


def test_only_the_newest_calls_are_kept() -> None:
    journal = Journal(kept_calls=3, clock=lambda: 1000.0)
    for number in range(5):
        journal.record(
            mutating=True,
            region="r",
            service="ec2",
            action=str(number),
            duration_ms=1.0,
            status=200,
            error_code=None,
            principal="x",
        )
    assert [call["action"] for call in journal.calls(0)] == ["2", "3", "4"]
    assert journal.wait(0, 0)["generation"] == 1_000_005


def test_a_later_run_of_the_api_has_a_greater_generation() -> None:
    assert Journal().wait(0, 0)["generation"] > Journal(clock=lambda: time.time() - 60).wait(0, 0)["generation"]


def test_a_call_without_credentials_is_refused(api: str) -> None:
    with pytest.raises(urllib.request.HTTPError) as caught:
        urllib.request.urlopen(f"{api}/?Action=DescribeVpcs&Version=2016-11-15")  # noqa: S310 - our own server
    assert caught.value.code == 403


def test_an_unknown_service_or_action_is_refused(api: str) -> None:
    # The API takes any key.
    session = boto3.session.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-west-2")  # noqa: S106
    factory: Any = session.client
    rds = factory("rds", endpoint_url=api)
    assert error_code(rds.describe_db_instances) == "UnknownService"
    ec2 = client("ec2", "eu-west-2", api)
    assert error_code(ec2.create_vpn_concentrator, Type="ipsec.1") == "UnsupportedOperation"


def test_concurrent_programs_build_their_sites_independently(api: str) -> None:
    def build(site: Site) -> str:
        site.build_network()
        site.build_identity()
        return site.ids["public_ip"]

    sites = [make_site(api) for make_site in (uk, au) * 3]
    with ThreadPoolExecutor(max_workers=6) as pool:
        addresses = set(pool.map(build, sites))
    assert len(addresses) == 6


def test_every_rule_has_a_sentence_and_a_source() -> None:
    lines = listing().splitlines()
    assert len(lines) > 60
    assert all(line.endswith("]") and "[https://docs.aws.amazon.com/" in line for line in lines)


def test_a_correction_that_does_not_fit_moto_is_refused() -> None:
    class WrongShape(ElasticAddressBackend):
        @corrects("A rule.", "page.html")
        def release_address(self, address: str) -> None:  # type: ignore[override]  # on purpose
            raise NotImplementedError(address)

    class NothingToCorrect(ElasticAddressBackend):
        @corrects("A rule.", "page.html")
        def no_such_method(self) -> None:
            raise NotImplementedError

    with pytest.raises(IncompatibleMotoError, match="release_address"):
        verify(WrongShape, ElasticAddressBackend)
    with pytest.raises(IncompatibleMotoError, match="no_such_method"):
        verify(NothingToCorrect, ElasticAddressBackend)


def test_another_version_of_moto_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corrections, "version", lambda _: "5.2.6")
    with pytest.raises(IncompatibleMotoError, match=r"moto==5\.2\.5"):
        corrections.require_moto_version()


def test_secrets_are_not_logged(api: str, capsys: pytest.CaptureFixture[str]) -> None:
    ssm = client("ssm", "eu-west-2", api)
    ssm.put_parameter(Name="/hidden", Value="hunter2", Type="SecureString")
    ssm.get_parameter(Name="/hidden", WithDecryption=True)
    output = capsys.readouterr().out
    assert "ssm:PutParameter 200" in output
    assert "hunter2" not in output
    assert "hunter2" not in json.dumps(lab_path(api, "/_lab/calls"))
