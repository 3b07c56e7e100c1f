"""The contract that the service publishes, openapi.yaml, and which responses it allows.

The check is stricter than the file: it allows no member and no Retry-After that the file does not name, and no refusal
without an example there.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import requests
import yaml
from jsonschema import Draft202012Validator

from otp.web import reference_page

Json = dict[str, Any]


def resolved(node: Any, document: Json) -> Any:
    """Return `node` with its references replaced by what they name; members next to a reference override it."""
    if isinstance(node, list):
        return [resolved(each, document) for each in node]
    if not isinstance(node, dict):
        return node
    members = {name: resolved(value, document) for name, value in node.items() if name != "$ref"}
    named: Any = document
    for part in node.get("$ref", "").split("/")[1:]:
        named = named[part]
    return {**resolved(named, document), **members} if "$ref" in node else members


WRITTEN: Json = yaml.safe_load(reference_page.CONTRACT.read_text())
CONTRACT: Json = resolved(WRITTEN, WRITTEN)


def operations() -> dict[tuple[str, str], Json]:
    """Return each operation, by method and path."""
    return {(method.upper(), path): each for path, item in CONTRACT["paths"].items() for method, each in item.items()}


def violations(answer: requests.Response) -> list[str]:
    """Return what is wrong with a response of the service; an empty list if it follows the contract."""
    asked, path = answer.request, answer.request.path_url.partition("?")[0]
    where = f"{asked.method} {path} {answer.status_code}"
    declared = _operation(str(asked.method), path)["responses"].get(str(answer.status_code))
    if declared is None:
        return [f"{where}: not declared"]
    return [f"{where}: {each}" for each in (*_header_violations(declared, answer), *_body_violations(declared, answer))]


def _operation(method: str, path: str) -> Json:
    refused = CONTRACT["components"]["responses"]
    for template, item in CONTRACT["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return item.get(method.lower()) or {"responses": {"405": refused["MethodNotAllowed"]}}
    return {"responses": {"404": refused["NotFound"]}}


def _header_violations(declared: Json, answer: requests.Response) -> Iterator[str]:
    for name in {"Retry-After", "WWW-Authenticate", "Allow"} & (answer.headers.keys() - declared["headers"].keys()):
        yield f"{name} is not declared"
    for name, header in declared["headers"].items():
        value = answer.headers.get(name)
        if value is not None:
            written = int(value) if header["schema"]["type"] == "integer" and value.isdecimal() else value
            yield from errors(header["schema"], written)
        elif header.get("required"):
            yield f"{name} is missing"


def _body_violations(declared: Json, answer: requests.Response) -> Iterator[str]:
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    content = declared["content"].get(kind)
    if content is None:
        yield f"{kind} is not declared"
    elif kind == "application/json":
        yield from errors(content["schema"], answer.json(), strict=True)
        if "examples" in content and answer.json() not in [shown["value"] for shown in content["examples"].values()]:
            yield f"{answer.json()} is not shown"


def errors(schema: Json, value: Any, *, strict: bool = False) -> list[str]:
    """Return what is wrong with a value; `strict` allows no member that the schema does not name."""
    return [f"{e.json_path} {e.message}" for e in _validator(json.dumps(schema), strict).iter_errors(value)]


@cache
def _validator(schema: str, strict: bool) -> Draft202012Validator:
    if strict:
        schema = schema.replace('"properties": {', '"additionalProperties": false, "properties": {')
    return Draft202012Validator(json.loads(schema), format_checker=Draft202012Validator.FORMAT_CHECKER)
