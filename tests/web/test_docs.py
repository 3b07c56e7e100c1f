"""The reference page works in a real browser."""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
import redis
import requests
from playwright.sync_api import Browser, Page, expect

from otp.web.reference_page import POLICY
from tests.support import openapi
from tests.support.browser import PATIENCE
from tests.support.running import Sandbox, Service, refusal


@pytest.fixture
def page(browser: Browser, service: Service) -> Iterator[Page]:
    """The reference page, which must send no request to other servers and cause no message or error in the console."""
    complaints: list[str] = []
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if not own(request.url, service) else None)
    page.goto(f"{service.url}/docs")
    yield page
    context.close()
    assert complaints == []


def own(url: str, service: Service) -> bool:
    return url.startswith("data:") or urlsplit(url).netloc == urlsplit(service.url).netloc


def test_the_page_shows_every_path_and_every_code(page: Page) -> None:
    operations = page.locator(".opblock")
    expect(operations).to_have_count(len(openapi.operations()))
    paths = [text.replace("\u200b", "") for text in page.locator(".opblock-summary-path").all_inner_texts()]
    assert sorted(paths) == sorted(path for _, path in openapi.operations())
    for summary in page.locator(".opblock-summary-control").all():
        summary.click()
    answers = page.locator(".responses-inner")
    expect(answers).to_have_count(len(openapi.operations()))
    shown = " ".join(answers.all_inner_texts())
    codes = {example["value"]["code"] for example in openapi.CONTRACT["components"]["examples"].values()}
    assert {code for code in codes if code not in shown} == set()


def test_a_request_can_be_tried_twice(page: Page, sandbox: Sandbox) -> None:
    """The page fills in no header that would prevent the second try, like the Idempotency-Key of the first."""
    send = page.locator("#operations-PINs-sendOtp")
    send.locator(".opblock-summary-control").click()
    send.get_by_role("button", name="Try it out").click()
    for number in ("+14155552671", "+442071838750"):
        send.locator("textarea").fill(f'{{"phoneNumber": "{number}"}}')
        with page.expect_response("**/send-otp") as answered:
            send.get_by_role("button", name="Execute").click()
        assert answered.value.status == 200
        expect(send.locator(".live-responses-table .response .response-col_status")).to_have_text("200")
        assert len(sandbox.pins(number)) == 1


def test_the_policy_of_the_page_allows_no_other_content(service: Service) -> None:
    answer = requests.get(f"{service.url}/docs", headers={"Connection": "close"}, timeout=5)
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert "default-src 'none'" in POLICY
    assert "unsafe" not in POLICY
    assert "http" not in POLICY
    assert openapi.violations(answer) == []


def test_the_page_can_be_switched_off(start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> None:
    service = start(sandbox.url, DOCS="off")
    for path in ("/docs", "/docs/page.js"):
        answer = requests.get(service.url + path, headers={"Connection": "close"}, timeout=5)
        assert refusal(answer) == (404, "not_found")
    answer = requests.get(f"{service.url}/openapi.json", headers={"Connection": "close"}, timeout=5)
    assert answer.json() == openapi.WRITTEN


@pytest.mark.parametrize("file", ["page.html", "index.css", "..%2fdocs.py", "%2e%2e/docs.py", "swagger-ui.js"])
def test_no_other_file_is_served(service: Service, file: str) -> None:
    answer = requests.get(f"{service.url}/docs/{file}", headers={"Connection": "close"}, timeout=5)
    assert refusal(answer) == (404, "not_found")


def test_a_condition_that_is_not_met_is_refused_in_json(service: Service) -> None:
    response = requests.get(f"{service.url}/docs/page.js", headers={"If-Match": '"zz"'}, timeout=5)
    assert refusal(response) == (412, "precondition_failed")
