"""The published contract describes all that the service does and nothing else."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pydantic import BaseModel

from app import create_app
from config import Settings
from otp.web.cors import ANSWERED, ASKED
from otp.web.delivery_report_api import DeliveryReports
from otp.web.proof_api import RedeemProof
from otp.web.send_requests import ResendOtp, SendOtp, VerifyOtp
from tests.documents.test_examples import EVERYTHING, REFUSALS
from tests.support import openapi
from tests.support.openapi import CONTRACT, Json
from tests.support.running import Service

OPERATIONS = openapi.operations()


def contents(of: Json) -> Iterator[tuple[str, Json]]:
    """Yield the content of the request and of each response of an operation, with `request` or the status."""
    if "requestBody" in of:
        yield "request", of["requestBody"]["content"]["application/json"]
    for status, response in of["responses"].items():
        yield from ((status, content) for content in response["content"].values())


def examples(content: Json) -> list[Any]:
    """Return the examples of a body."""
    alone = [content["example"]] if "example" in content else []
    return alone + [example["value"] for example in content.get("examples", {}).values()]


def test_the_contract_has_every_refusal_and_no_other() -> None:
    each = {
        (int(status), example["code"], example["error"])
        for operation in OPERATIONS.values()
        for status, content in contents(operation)
        if status >= "4" and status != "request"
        for example in examples(content)
    }
    assert each == REFUSALS
    assert {tuple(each["value"].values()) for each in CONTRACT["components"]["examples"].values()} == {
        (sentence, code) for _, code, sentence in REFUSALS
    }
    codes = CONTRACT["components"]["schemas"]["Refusal"]["properties"]["code"]["enum"]
    assert sorted(codes) == sorted({code for _, code, _ in REFUSALS})


def test_the_contract_has_every_route_and_no_other() -> None:
    app = create_app(Settings(**EVERYTHING))
    routes = {
        (method, re.sub("<(.*?)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert set(OPERATIONS) == routes


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_example_matches_its_schema(method: str, path: str) -> None:
    operation = OPERATIONS[method, path]
    for status, content in contents(operation):
        for example in examples(content):
            assert openapi.errors(content["schema"], example, strict=True) == [], status
        assert examples(content) or path.startswith(("/docs", "/openapi")), f"{status} has no example"
    headers = [header for response in operation["responses"].values() for header in response["headers"].values()]
    for header in headers:
        assert openapi.errors(header["schema"], header["example"]) == []


@pytest.mark.parametrize("name", CONTRACT["components"]["schemas"])
def test_the_examples_within_schemas_match_them(name: str) -> None:
    schema = CONTRACT["components"]["schemas"][name]
    for each in (schema, *schema.get("properties", {}).values()):
        for example in each.get("examples", ()):
            assert openapi.errors(each, example) == []


@pytest.mark.parametrize("model", [SendOtp, ResendOtp, VerifyOtp, RedeemProof, DeliveryReports])
def test_the_contract_declares_the_fields_that_the_service_reads(model: type[BaseModel]) -> None:
    read, declared = model.model_json_schema(), CONTRACT["components"]["schemas"][model.__name__]
    kinds = declared.get("oneOf", [declared])
    assert read["properties"].keys() == set().union(*(kind["properties"] for kind in kinds))
    assert set(read.get("required", [])) == set.intersection(*(set(kind.get("required", [])) for kind in kinds))


def test_the_contract_has_the_headers_that_cors_allows() -> None:
    taken = {parameter["name"] for operation in OPERATIONS.values() for parameter in operation.get("parameters", ())}
    answers = [answer for operation in OPERATIONS.values() for answer in operation["responses"].values()]
    given = {name for answer in answers for name in answer["headers"]}
    assert set(ASKED) - {"Authorization", "Content-Type"} <= taken
    assert set(ANSWERED) <= given


def test_the_contract_is_served_as_it_is_written(service: Service) -> None:
    answer = requests.get(f"{service.url}/openapi.json", headers={"Connection": "close"}, timeout=5)
    assert answer.json() == openapi.WRITTEN
    assert openapi.violations(answer) == []


def test_a_response_that_violates_the_contract_is_detected(service: Service, phone: str) -> None:
    """`Service.post` and `Service.get` check every response against the contract in this way."""
    answer = service.send(phone)
    answer.headers["Retry-After"] = "1"
    answer.headers["X-RateLimit-Limit"] = "many"
    del answer.headers["X-Request-ID"]
    assert [each.partition(": ")[2] for each in openapi.violations(answer)] == [
        "Retry-After is not declared",
        "X-Request-ID is missing",
        "$ 'many' is not of type 'integer'",
    ]
    answer = service.post("/send-otp", {})
    answer.status_code = 422
    (violation,) = openapi.violations(answer)
    assert violation.endswith("is not shown")
    answer.status_code = 418
    assert openapi.violations(answer) == ["POST /send-otp 418: not declared"]
