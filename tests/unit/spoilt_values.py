"""Values of arguments that are wrong by themselves."""

from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st

from tests.unit.gateway_documents import HOST_KEY, PUBLIC_KEY

MISSING: Final = object()
"""In place of a value: the argument is left out."""

Strategy = st.SearchStrategy[Any]

NO_NETWORK: Final = ("10.1.0.0", "10.1.0.1/16", "10.1.0.0/33", "2001:db8::/32", "", "ten", 10, None, ["10.1.0.0/16"])
NO_PUBLIC_KEY: Final = (
    HOST_KEY,
    "ssh-ed25519",
    "ssh-dss AAAAB3NzaC1kc3M=",
    "ssh-rsa AAAA",
    "",
    PUBLIC_KEY * 2,
    7,
    ["ssh-ed25519 AAAA"],
)
NO_TEXT: Final = (7, True, "", ["text"], {"text": "text"})

SPOILT_SITE: Final[Mapping[str, Strategy]] = {
    "name": st.sampled_from([MISSING, "UK", "uk side", "1uk", "uk-", "u" * 21, *NO_TEXT]),
    "region": st.sampled_from([MISSING, "London", "eu-west", *NO_TEXT]),
    "cidr_block": st.sampled_from([MISSING, "10.0.0.0/15", "10.1.0.0/28", "127.0.0.0/16", "224.0.0.0/24", *NO_NETWORK]),
    "public_subnet_cidr_block": st.sampled_from(["10.1.0.1/24", "10.1.0.0", "ten", 10, []]),
    "private_subnet_cidr_blocks": st.sampled_from(NO_NETWORK).map(lambda network: [network]) | st.just("10.1.0.0/24"),
    "existing_network": st.sampled_from(["vpc-01234567", [], 7, {}, {"vpc_id": "vpc-1"}]),
    "additional_cidr_blocks": st.sampled_from(NO_NETWORK).map(lambda network: [network]) | st.just("198.18.0.0/24"),
    "excluded_cidr_blocks": st.sampled_from(NO_NETWORK).map(lambda network: [network]) | st.just("198.18.0.0/24"),
    "allocation_id": st.sampled_from(["192.0.2.1", "eipalloc-1", *NO_TEXT]),
    "retain_elastic_ip": st.sampled_from(["yes", 1, []]),
    "permissions_boundary_arn": st.sampled_from(["boundary", "arn:aws:iam::123456789012:role/boundary", *NO_TEXT]),
    "kms_key_arn": st.sampled_from(["alias/aws/ssm", "arn:aws:kms:eu-west-2:123456789012:alias/key", *NO_TEXT]),
    "availability_zones": st.sampled_from(["eu-west-2a", ["a"], ["eu-west-2"], [2], {"first": "eu-west-2a"}]),
    "gateway_private_ip": st.sampled_from(["10.1.1.256", "10.1.1.0/24", "gateway", "", 10, []]),
    "probe_host_private_ip": st.sampled_from(["10.1.1.256", "::1", "host", "", 10, []]),
    "instance_type": st.sampled_from(["t3", "T3.nano", "nano.", *NO_TEXT]),
    "image": st.sampled_from(["debian-11", "ubuntu", "ami-1", *NO_TEXT]),
    "root_volume_size": st.sampled_from([0, 16385, "8", True, float("nan"), []]),
    "update_window": st.sampled_from(["2:00", "24:00", "02:60", "02:00-04:00", "0200", *NO_TEXT]),
    "aws_profile": st.sampled_from(["two words", *NO_TEXT]),
    "assume_role_arn": st.sampled_from(["deployer", "arn:aws:iam::1:role/deployer", *NO_TEXT]),
    "host_private_key": st.just(MISSING),  # and the public one, alone
    "host_public_key": st.sampled_from(NO_PUBLIC_KEY),
}
"""Argument of a side -> values that are wrong with any other arguments."""

SPOILT_PAIR: Final[Mapping[str, Strategy]] = {
    "left": st.sampled_from([MISSING, None, "uk", ["uk"], 7]),
    "right": st.sampled_from([MISSING, None, "au", ["au"], 7]),
    "profile": st.sampled_from(["best", "MODERN", 2, [], {}]),
    "psk": st.sampled_from(["short", "a" * 64, "MySuperSecretVpnKey2024", "{{" + "x1Y" * 20, 7, [], {}]),
    "ppk": st.sampled_from(["short", "0" * 64, "A7" * 16, "x1Y" * 23, 7, [], {}]),
    "postquantum": st.sampled_from(["yes", "true", 1, 0, []]),
    "secret_delivery": st.sampled_from(["mail", "SSM", 1, [], {}]),
    "administrator_cidr_blocks": st.sampled_from(NO_NETWORK).map(lambda network: [network])
    | st.sampled_from(["192.0.2.0/24", ["192.0.2.1/32", "192.0.2.1/32"], {"a": "192.0.2.1/32"}]),
    "ssh_private_key": st.sampled_from([HOST_KEY, "", "key", 7, []]),  # without the public one
    "ssh_public_key": st.sampled_from(NO_PUBLIC_KEY),
    "ssh_authorized_keys": st.sampled_from(NO_PUBLIC_KEY).map(lambda key: [PUBLIC_KEY, key]) | st.just(PUBLIC_KEY),
    "verify": st.sampled_from(["yes", "true", 1, 0, []]),
    "verify_timeout_seconds": st.sampled_from([29, 3601, -1, "600", True, float("nan"), float("inf"), []]),
    "monitoring": st.sampled_from([True, "basic", {"metrics": "all"}, {"left_alarm_topic_arns": ["pager"]}]),
    "tags": st.sampled_from(
        [["owner"], "owner", {"Name": "x"}, {"aws:x": "y"}, {"owner": 7}, {"a": "b", "A": "c"}, {"owner": "ö" * 257}]
    ),
}  # fmt: skip
"""Argument of a pair -> values that are wrong with any other arguments."""
