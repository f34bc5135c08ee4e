"""Proves that messages, layers, settings and files quoted in the operators' documents exist. Proves no advice."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.generated import ROOT
from vpn_verify.table import LAYERS as TABLE

DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "lab/README.md", ROOT / "examples/README.md")
    if path.name != "reference.md"
)
TROUBLESHOOTING = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
OF_THE_PROVIDER = {
    "i/o timeout",
    "connection refused",
    "host key mismatch",
    "unable to authenticate",
    "dial unix …: connect: no such file or directory",
    "ssh: rejected: connect failed",
    "proxy: after 0 failed attempts: ssh: handshake failed: ssh: unable to authenticate",
}
"""Messages of Go and of golang.org/x/crypto/ssh that the `command` provider shows; no code here has them."""
OF_AWS = {
    "AddressLimitExceeded",
    "InsufficientInstanceCapacity",
    "VcpuLimitExceeded",
    "VpcLimitExceeded",
    "is not supported in your requested Availability Zone",
}
"""Error codes and a message of EC2 (Amazon EC2 API reference, "Error codes for the Amazon EC2 API")."""
FILLED_IN = "\0"


def literals(path: Path) -> Iterator[str]:
    """Yield every string of a program except docstrings, with `FILLED_IN` for the values of f-strings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else FILLED_IN for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


PRINTED = [
    # A shell script may split one text into two strings at the end of a line.
    re.sub(r'" \\\n *"', " ", text)
    for pattern in ("components/**/*.py", "userdata/**/*.py", "userdata/**/vpn-secrets")
    for path in sorted(ROOT.glob(pattern))
    for text in literals(path)
]


def is_printed(message: str) -> bool:
    """Return whether a string of the code contains the message; `…` stands for a value that is filled in.

    `…` may also stand for a setting's name, which is printed as the configuration spells it.
    """
    pattern = r"(?:\0|\$\w+|[a-z]+(?:_[a-z]+)+)".join(map(re.escape, message.split("…")))
    return any(re.search(pattern, text) for text in PRINTED)


def rows(text: str, first_column: str) -> Iterator[Sequence[str]]:
    """Yield the cells of the rows of each table whose first column has this title."""
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|-"):
            yield cells
        elif cells[0] == first_column:
            inside = True


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


MESSAGES = [message for row in rows(TROUBLESHOOTING, "the line has") for message in quoted(row[0])]
LAYERS = [(layer, row[1]) for row in rows(TROUBLESHOOTING, "layer") for layer in quoted(row[0])]


def test_the_tables_can_be_read() -> None:
    assert len(MESSAGES) > 30
    assert len(LAYERS) > 30


@pytest.mark.parametrize("message", [each for each in MESSAGES if each not in OF_THE_PROVIDER | OF_AWS])
def test_a_message_in_the_tables_exists_in_the_code(message: str) -> None:
    assert is_printed(message)


@pytest.mark.parametrize("message", sorted({message for _, seen in LAYERS for message in quoted(seen)}))
def test_a_layers_text_in_the_table_exists_in_the_code(message: str) -> None:
    assert is_printed(message)


def test_a_message_that_is_not_in_the_code_is_not_found() -> None:
    assert not is_printed("the pre-shared keys are alike")
    assert not is_printed("…-gateway is replaced")
    assert not is_printed("ipsec.service pluto does not answer")


def test_every_layer_of_vpn_verify_has_a_row_and_no_other() -> None:
    assert {layer for layer, _ in LAYERS} == {layer.name for layer in TABLE}


def test_every_line_of_the_articles_stack_is_quoted_and_explained() -> None:
    config = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))["config"]

    def spelled(value: Any) -> str:
        return f"[{', '.join(value)}]" if isinstance(value, list) else str(value)

    lines = [f"{key.partition(':')[2]}: {spelled(value)}" for key, value in config.items()]
    article = (ROOT / "docs/article.md").read_text(encoding="utf-8")
    assert [quoted(row[0])[0] for row in rows(article, "setting")] == lines


def test_every_setting_that_the_readme_names_exists() -> None:
    settings = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = {name for row in rows(readme, "setting") for name in quoted(row[0])}
    assert named
    assert named - set(settings) == set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_of_a_document_has_a_target(name: str) -> None:
    path = ROOT / name
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        file, _, section = target.partition("#")
        other = path if not file else path.parent / file
        assert other.exists(), target
        assert not section or section in sections(other), target


def sections(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_target_that_a_document_names_exists(name: str) -> None:
    makefile, document = ((ROOT / each).read_text(encoding="utf-8") for each in ("Makefile", name))
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = re.findall(r"\bmake ([a-z-]+)`|^make ([a-z-]+)", document, re.MULTILINE)
    assert {one or other for one, other in named} - targets == set()
