"""Proves that a setting is read once, by counting what one run of the program does with the article's stack.

Does not prove what is read (test_arguments.py) or rendered (test_userdata_render.py).
"""

import runpy
from collections import Counter
from ipaddress import IPv4Network
from typing import Any

import jinja2
import pytest

from components.inputs.reader import Reader
from tests.unit.recording import Deployment
from tests.unit.test_program import ROOT, configure, stack_values

CIDR_BLOCKS = 7
"""Settings of Pulumi.lab.yaml that are one: of each side the VPC and two subnets, and the administrator's."""


def test_the_program_parses_each_cidr_block_once_and_reads_the_arguments_once(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, parsed = Counter[str](), Counter[str]()
    parse, read, render = IPv4Network.__init__, Reader.__init__, jinja2.Template.render

    def counted_parse(network: IPv4Network, address: object, strict: bool = True) -> None:
        if isinstance(address, str):
            parsed[address] += 1
        parse(network, address, strict)

    def counted_read(reader: Reader, path: str, *rest: Any) -> None:
        counts["passes"] += not path
        read(reader, path, *rest)

    def counted_render(template: jinja2.Template, *args: Any, **kwargs: Any) -> str:
        text = render(template, *args, **kwargs)
        counts["user data"] += text.startswith("#cloud-config")
        return text

    configure(stack_values("lab"))
    with monkeypatch.context() as patched:
        patched.setattr(IPv4Network, "__init__", counted_parse)
        patched.setattr(Reader, "__init__", counted_read)
        patched.setattr(jinja2.Template, "render", counted_render)
        deployment.run(lambda: runpy.run_path(str(ROOT / "__main__.py")))
    assert set(parsed.values()) == {1}, parsed
    assert len(parsed) == CIDR_BLOCKS, parsed
    assert counts == {"passes": 1, "user data": 2}
