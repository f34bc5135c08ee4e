"""IAM policy documents: comparing and reading them."""

import json
from typing import Any

from lab.resource_plugins.base import Input


def same_document(one: str, other: str) -> bool:
    """Tell whether two policy documents are the same JSON; a list of one equals its element, and order is ignored."""
    try:
        return bool(_canonical(json.loads(one)) == _canonical(json.loads(other)))
    except (TypeError, ValueError):
        return one == other


def _canonical(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _canonical(item, name) for name, item in value.items()}
    if isinstance(value, list):
        items = [_canonical(item) for item in value]
        items = sorted(items, key=str) if key != "Statement" else items
        return items[0] if len(items) == 1 else items
    return value


POLICY = Input(required=True, same=same_document)


def document_text(value: Any) -> str:
    """Return a document as text; botocore returns the documents of IAM parsed."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
