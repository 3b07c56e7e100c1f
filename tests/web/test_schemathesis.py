"""Schemathesis sends requests to the live service, within the contract and outside it, and checks the responses.

The requests are the same each time; SOAK=20 sends twenty times as many, and others each time.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any
from zlib import crc32

import pytest
import redis
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS, load_all_checks

from otp.proofs import new_signing_key
from otp.web.reference_page import CONTRACT
from tests.support import openapi
from tests.support.running import Sandbox, Service

KEY = "shop-key-0123456789"
SOAK = int(os.environ.get("SOAK", "0"))
PROOF_KEY = new_signing_key()

schema = schemathesis.openapi.from_path(CONTRACT)
load_all_checks()
# The contract cannot describe which strings are phone numbers, so the service may refuse a request that it allows.
EXCLUDED: list[Any] = [CHECKS.get_one("positive_data_acceptance")]
schema.config.checks.negative_data_rejection.expected_statuses.append("413")  # the body is too large


@pytest.fixture
def fuzzed(start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with all features of the contract switched on."""
    open_limits = {"TOTAL_SEND_LIMIT": "1000000 per day"}
    reports = {"TRACK_DELIVERY": "true", "DELIVERY_REPORTS_SECRET": KEY}  # one key for every route
    return start(sandbox.url, API_KEYS=f"shop:{KEY}", PROOF_SIGNING_KEY=PROOF_KEY, **open_limits, **reports)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A session that checks each response against the contract, more strictly than schemathesis does."""

    def check(answer: requests.Response, **_: object) -> None:
        if answer.request.method not in ("HEAD", "OPTIONS"):
            assert openapi.violations(answer) == []

    with requests.Session() as session:
        session.hooks["response"] = check
        yield session


def test_the_contract_is_valid_openapi() -> None:
    schema.validate()


def operation_test(label: str) -> Any:
    """Return the test of one operation, like `POST /send-otp`."""

    @schema.include(name=label).parametrize()
    @settings(
        max_examples=60 * max(SOAK, 1),
        derandomize=not SOAK,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def test(case: schemathesis.Case[Any], fuzzed: Service, session: requests.Session, database: redis.Redis) -> None:
        database.delete("no key", *database.scan_iter("otp:LIMITS:*wrong_key*"))  # 20 wrong keys would lead to 429
        if isinstance(case.body, dict) and isinstance(given := case.body.get("phoneNumber"), str):
            case.body["phoneNumber"] = number(given)
        if given := case.headers.get("X-End-User-IP"):
            case.headers["X-End-User-IP"] = address(given)
        key = {"Authorization": f"Bearer {KEY}"}
        case.call_and_validate(base_url=fuzzed.url, session=session, headers=key, excluded_checks=EXCLUDED, timeout=20)

    return test


# Each operation has its own function: with one for all, their tests would share an id, and pytest-xdist would run one.
for method, path in openapi.operations():
    globals()[f"test {method} {path}"] = operation_test(f"{method} {path}")


def number(written: str) -> str:
    """Return a text of odd length unchanged, and otherwise a phone number, always the same for the same text."""
    return written if len(written) % 2 else f"+49151{crc32(written.encode(errors='replace')) % 10**8:08}"


def address(written: str) -> str:
    """Return a text of odd length unchanged, and otherwise an address, always the same for the same text."""
    return written if len(written) % 2 else f"2001:db8::{crc32(written.encode(errors='replace')) % 10**4}"
