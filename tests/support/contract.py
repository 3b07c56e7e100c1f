"""Infobip's published contract: which responses its 2FA API may return, and which requests it accepts.

The check is stricter than the copy next to this file: it allows no member that the contract does not name.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

CONTRACT = json.loads((Path(__file__).parent / "infobip-2fa-openapi.json").read_text())
for schema in CONTRACT["components"]["schemas"].values():
    if "properties" in schema:
        schema["additionalProperties"] = False


def operations() -> set[str]:
    """Return every operationId."""
    return {operation["operationId"] for item in CONTRACT["paths"].values() for operation in item.values()}


def operation(method: str, path: str) -> dict[str, Any]:
    """Return the contract of a request, or an empty one if the contract does not know the request.

    A path with fewer parameters comes first: `voice` in /pin/voice is not a pinId.
    """
    for template in sorted(CONTRACT["paths"], key=lambda template: template.count("{")):
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in CONTRACT["paths"][template]:
            found: dict[str, Any] = CONTRACT["paths"][template][method.lower()]
            return found
    return {}


def answer_violations(method: str, path: str, status: int, body: Any) -> list[str]:
    """Return what is wrong with a response; an empty list if it follows the contract."""
    declared = operation(method, path).get("responses", {"4XX": {"$ref": "#/components/responses/ApiException404"}})
    response = declared.get(str(status)) or declared.get(f"{status // 100}XX")
    if response is None:
        return [f"{method} {path}: status {status} is not declared"]
    return _violations(f"{method} {path} {status}", _resolved(response), body)


def request_violations(method: str, path: str, body: Any) -> list[str]:
    """Return what is wrong with a request's body."""
    declared = operation(method, path).get("requestBody")
    return _violations(f"{method} {path}", declared, body) if declared else []


def _violations(where: str, declared: dict[str, Any], body: Any) -> list[str]:
    schema = json.dumps(declared["content"]["application/json"]["schema"])
    return [f"{where}: {error.json_path} {error.message}" for error in _validator(schema).iter_errors(body)]


def _resolved(response: dict[str, Any]) -> dict[str, Any]:
    name = response.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = CONTRACT["components"]["responses"][name] if name else response
    return found


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({**json.loads(schema), "components": CONTRACT["components"]})
