"""docs/policy.schema.json, for editors: `python -m workbench.policy.schema > docs/policy.schema.json`."""

from __future__ import annotations

import json
import sys

from workbench.policy.model import Policy


def text() -> str:
    """The JSON Schema (2020-12) of a policy in one file."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Policy.model_json_schema()}
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
