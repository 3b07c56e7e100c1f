"""What the contract allows to ask, and what it does not: schemathesis asks the live service, and judges the answers.

The same each time; SOAK=20 asks twenty times as much, and other things each time.
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
# The contract cannot say which strings are phone numbers: a good request may be refused.
NOT_OURS: list[Any] = [CHECKS.get_one("positive_data_acceptance")]
schema.config.checks.negative_data_rejection.expected_statuses.append("413")  # whatever is in it, it was too large


@pytest.fixture
def fuzzed(start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> Service:
    """With everything that is in the contract switched on."""
    open_limits = {"TOTAL_SEND_LIMIT": "1000000 per day"}
    reports = {"TRACK_DELIVERY": "true", "DELIVERY_REPORTS_SECRET": KEY}  # one word opens every door
    return start(sandbox.url, API_KEYS=f"shop:{KEY}", PROOF_SIGNING_KEY=PROOF_KEY, **open_limits, **reports)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """Holds each answer against the contract more strictly than schemathesis does."""

    def check(answer: requests.Response, **_: object) -> None:
        if answer.request.method not in ("HEAD", "OPTIONS"):
            assert openapi.violations(answer) == []

    with requests.Session() as session:
        session.hooks["response"] = check
        yield session


def test_the_contract_is_openapi() -> None:
    schema.validate()


def asks(label: str) -> Any:
    """The test of one operation, like `POST /send-otp`."""

    @schema.include(name=label).parametrize()
    @settings(
        max_examples=60 * max(SOAK, 1),
        derandomize=not SOAK,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def test(case: schemathesis.Case[Any], fuzzed: Service, session: requests.Session, database: redis.Redis) -> None:
        database.delete("no key", *database.scan_iter("otp:LIMITS:*wrong_key*"))  # 20 of them would end in 429
        if isinstance(case.body, dict) and isinstance(given := case.body.get("phoneNumber"), str):
            case.body["phoneNumber"] = number(given)
        if given := case.headers.get("X-End-User-IP"):
            case.headers["X-End-User-IP"] = address(given)
        key = {"Authorization": f"Bearer {KEY}"}
        case.call_and_validate(base_url=fuzzed.url, session=session, headers=key, excluded_checks=NOT_OURS, timeout=20)

    return test


# One function for each: schemathesis's own tests of one function have one id, and pytest-xdist runs one test of an id.
for method, path in openapi.operations():
    globals()[f"test {method} {path}"] = asks(f"{method} {path}")


def number(written: str) -> str:
    """Every other one is a phone number, the same for the same text."""
    return written if len(written) % 2 else f"+49151{crc32(written.encode(errors='replace')) % 10**8:08}"


def address(written: str) -> str:
    """Every other one is an address, the same for the same text."""
    return written if len(written) % 2 else f"2001:db8::{crc32(written.encode(errors='replace')) % 10**4}"
