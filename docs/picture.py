"""Draw docs/picture.svg: the pair of Pulumi.dev.yaml."""

from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

DOCS = Path(__file__).resolve().parent
LEFT = {"region_x": 16, "private_x": 30, "public_x": 210, "edge_x": 400, "nat_x": 372, "nat_end_x": 444}
RIGHT = {"region_x": 600, "private_x": 810, "public_x": 614, "edge_x": 600, "nat_x": 628, "nat_end_x": 556}
"""Horizontal coordinates; the right side mirrors the left one."""


def picture() -> str:
    """Return the picture as SVG."""
    config = yaml.safe_load((DOCS.parent / "Pulumi.dev.yaml").read_text(encoding="utf-8"))["config"]
    environment = Environment(
        loader=FileSystemLoader(DOCS), undefined=StrictUndefined, autoescape=True, trim_blocks=True
    )
    sides = [{**_side(config, "left"), **LEFT}, {**_side(config, "right"), **RIGHT}]
    return environment.get_template("picture.svg.j2").render(sides=sides) + "\n"


def _side(config: dict[str, Any], side: str) -> dict[str, str]:
    def setting(name: str) -> Any:
        return config[f"vpn-gateway-pair:{side}{name}"]

    return {
        "name": setting("Name"),
        "region": setting("Region"),
        "cidr_block": setting("CidrBlock"),
        "public_cidr_block": setting("PublicSubnetCidrBlock"),
        "private_cidr_block": setting("PrivateSubnetCidrBlocks")[0],
        "gateway": setting("GatewayPrivateIp"),
        "private_host": setting("ProbeHostPrivateIp"),
    }
