"""Tables and lines of settings on the pages, compared with the code that they describe."""

import itertools
import json
import re

import pytest

from cli.infobip import setup
from config import Settings, load_settings
from otp.redis.url import parse as parse_redis_url
from otp.web import error_responses
from tests.support.pages import PAGES, REQUIRED
from tests.support.running import ROOT

REFUSALS = {(status, error.code) for error, status in error_responses.STATUS.items()}
REFUSALS |= {(404, "not_found"), (405, "method_not_allowed")}
WITH_KEYS = {**REQUIRED, "API_KEYS": "shop:shop-key-0123456789,bank:bank-key-0123456789"}


def test_every_refusal_is_in_the_table() -> None:
    rows = re.findall(r"(?m)^\| ([0-9, ]+) \| (`\w+`(?:, `\w+`)*) \|", PAGES["docs/api.md"])
    codes = [zip(statuses.split(", "), re.findall(r"\w+", codes), strict=True) for statuses, codes in rows]
    assert {(int(status), code) for status, code in itertools.chain(*codes)} == REFUSALS


def test_the_members_of_a_send_are_in_the_table() -> None:
    (answer,) = re.findall(r"(?m)^## Send a PIN\n+```sh\n.*\n```\n```json\n(.*)$", PAGES["docs/api.md"])
    table = PAGES["docs/api.md"].split("| member |")[1].split("\n\n")[0]
    assert set(re.findall(r"(?m)^\| `(\w+)`", table)) == json.loads(answer).keys() - {"message"}


def test_every_alert_is_in_the_table() -> None:
    table = PAGES["docs/operations.md"].split("| type | when |")[1].split("\n\n")[0]
    code = "".join(path.read_text() for path in ROOT.glob("otp/alerts/*.py"))
    named = set(re.findall(r'"([a-z]+\.[a-z_]+)"', code)) - {"otp.alerts"}
    named |= {f"verifies.{kind}" for kind in ("recipient", "address")}
    assert set(re.findall(r"(?m)^\| `(\S+)`", table)) == named


def test_every_event_of_the_log_is_in_the_table() -> None:
    section = PAGES["docs/operations.md"].split("## Logs")[1].split("## Metrics")[0]
    rows = re.findall(r"(?m)^\| ([^|]+) \|", section.split("| event |")[1])
    shown = {word for row in rows for word in re.findall("`([a-z_]+)`", row)} - {"otp"}
    paths = [*ROOT.glob("otp/**/*.py"), ROOT / "app.py", ROOT / "gunicorn.conf.py", ROOT / "infobip_client.py"]
    code = "".join(path.read_text() for path in paths)
    written = set(re.findall(r'[.](?:debug|info|warning|error)[(]\s*"([a-z_]+)"', code))
    written |= set(re.findall(r'"event": "(\w+)"', code))
    assert '`"event": "request"`' in section
    assert shown == written - {"request"}


def test_the_options_of_setup_are_those_of_the_command() -> None:
    table = PAGES["docs/infobip.md"].split("| option |")[1].split("\n\n")[0]
    known = {option for parameter in setup.params for option in parameter.opts}
    shown = set(re.findall("`(--[a-z-]+)`", table))
    assert shown
    assert shown <= known


def test_the_urls_of_redis_can_be_parsed() -> None:
    table = PAGES["docs/deploy.md"].split("| what is there | `REDIS_URL` |")[1].split("\n\n")[0]
    urls = re.findall(r"`(\w[\w+]*://\S+)`", table)
    assert len(urls) == 4
    for url in urls:
        parse_redis_url(url.replace("port", "6379"))


BLOCKS = [
    (page, dict(lines))
    for page, text in PAGES.items()
    for block in re.findall(r"(?m)^```\n((?:[A-Z_]+=.*\n)+)```", text)
    if (lines := re.findall(r"(?m)^([A-Z_]+)=(.*)$", block)) and lines[0][0].lower() in Settings.model_fields
]


@pytest.mark.parametrize(("page", "settings"), [each for each in BLOCKS if "make run" not in str(each)])
def test_the_settings_on_the_pages_are_accepted(page: str, settings: dict[str, str]) -> None:
    load_settings({**WITH_KEYS, **settings})
