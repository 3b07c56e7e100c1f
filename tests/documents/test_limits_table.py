"""The table of every limit in docs/security.md, compared with the code."""

import re

import pytest

import config
from config import Settings
from otp import challenges, fixed_codes, proofs
from otp.durations import duration
from otp.send_limits import operator_rules
from otp.web import idempotency, request_body, wrong_keys
from tests.support.pages import PAGES
from tools.settings_pages import default, text

ROWS = re.findall(
    r"(?m)^\| ([^|]+) \| (?:`([^`|]*)`)?[^|]* \| (?:`(\w+)`)? ?\|", PAGES["docs/security.md"].split("## Every limit")[1]
)
FIXED = {
    "wrong API keys from one address": text(wrong_keys.WRONG_KEYS),
    "sends, and as many verifies, at Infobip at a time, in one worker": str(config.CONCURRENCY),
    "the question to the vendor of the challenge": duration(challenges.DEADLINE),
    "the body of a request": f"{request_body.MAX_BODY // 1024} KiB",
    "the time for a whole body": duration(request_body.PATIENCE),
    "the time for which an `Idempotency-Key` is known": duration(idempotency.KEPT),
    "the life of a proof": duration(proofs.LIFETIME),
    "a rule that an operator sets by hand": duration(operator_rules.LONGEST),
    "test numbers": f"{fixed_codes.LONGEST}d",
    "PINs of one recipient that live side by side": "3",  # tested in tests/web/test_whose_pin.py
}


def test_the_fixed_limits_are_those_of_the_code() -> None:
    assert {what: limit for what, limit, setting in ROWS if not setting and limit} == FIXED


@pytest.mark.parametrize(("limit", "setting"), [(limit, setting) for _, limit, setting in ROWS if setting])
def test_the_limits_of_settings_are_their_defaults(limit: str, setting: str) -> None:
    assert limit == default(Settings.model_fields[setting.lower()])


def test_no_limit_of_the_settings_is_left_out() -> None:
    names = re.compile(
        ".*_(limit|limits|attempts|share|budget|to_live|cooldown)|guard_(country|prefix)_(pending|hour|day)"
    )
    limits = {name.upper() for name in Settings.model_fields if names.fullmatch(name)}
    assert limits <= {setting for _, _, setting in ROWS}
