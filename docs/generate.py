"""Write the files that are generated from the code: `make generated`.

tests/unit/test_schema.py fails when one of them is stale.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.plugin.provider import provider
from docs.picture import picture
from docs.reference import reference

ROOT = Path(__file__).resolve().parent.parent


def generated() -> Mapping[Path, str]:
    """Return the path and content of every generated file."""
    schema: dict[str, Any] = json.loads(provider().schema or "")
    return {
        ROOT / "components" / "schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        ROOT / "docs" / "reference.md": reference(schema),
        ROOT / "docs" / "picture.svg": picture(),
    }


if __name__ == "__main__":
    for path, content in generated().items():
        path.write_text(content, encoding="utf-8")
        print(path.relative_to(ROOT))
