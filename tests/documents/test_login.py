"""The website in examples/login, started by the commands in docs/login.md, in a browser and under attack."""

import os
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyotp
import pytest
import redis
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from sandbox.free_port import free_port
from tests.support.browser import PATIENCE
from tests.support.make_run import MakeRun
from tests.support.pages import PAGES
from tests.support.running import ROOT, answers
from tests.support.signing import KEY, sign

EXAMPLE = ROOT / "examples/login"
SECTION = PAGES["docs/login.md"].split("## A website with a login")[1].split("\n## ")[0]
NOT_CONFIRMED = "Your phone number could not be confirmed."
WRONG_CODE = "This code is wrong, or was used before."
TOO_MANY = "Too many wrong codes."


def recipe(command: str) -> str:
    """Return the command that the last word of `command`, a target of make, runs once everything is installed."""
    target = command.rsplit(maxsplit=1)[-1]
    stamps = [f"--old-file={sys.prefix}/{each}.stamp" for each in ("login", "run")]
    make = ["make", "--no-print-directory", "--dry-run", f"VENV={sys.prefix}", *stamps, target]
    return subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


@dataclass
class Website:
    """A running website, together with the service that `make run` starts."""

    url: str
    make_run: MakeRun
    database: Path

    @classmethod
    @contextmanager
    def started(cls, folder: Path, redis_url: str) -> Iterator["Website"]:
        run, login = re.findall(r"^```sh\n(.*)\n```", SECTION, re.MULTILINE)
        port = str(free_port())
        origin = f"http://localhost:{port}"
        settings = dict(each.split("=") for each in run.replace("http://localhost:8080", origin).split()[:-2])
        assert recipe(run) == f"exec {sys.prefix}/bin/python -m sandbox"
        with MakeRun.started(folder, REDIS_URL=redis_url, PROOF_SIGNING_KEY=KEY, **settings) as make_run:
            website = cls(origin, make_run, folder / "login.sqlite3")
            given = {"LOGIN_URL": origin, "LOGIN_DATABASE": str(website.database), "FLASK_SKIP_DOTENV": "1"}
            given |= {"OTP_URL": f"http://localhost:{make_run.port}", "PATH": os.environ["PATH"]}
            with (folder / "log").open("wb") as log:
                command = recipe(login).replace("8080", port).split()[1:]
                process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=log, stderr=log)
            assert answers(origin, process), (folder / "log").read_text()
            yield website
            process.terminate()
            process.wait(60)

    def sql(self, statement: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()

    def let_time_pass(self) -> None:
        """Change the database as if the apps' codes had been used, and the guesses made, long ago."""
        self.sql("UPDATE users SET totp_step = min(totp_step, 1)")
        self.sql("DELETE FROM guesses")


@pytest.fixture(scope="module")
def _website(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Website]:
    with Website.started(tmp_path_factory.mktemp("website"), redis_url) as website:
        yield website


@pytest.fixture
def website(_website: Website, database: redis.Redis) -> Website:
    """The website with the users of earlier tests, but without their guesses."""
    _website.let_time_pass()
    return _website


class Visitor:
    """A client with cookies, like a browser, that can submit any form."""

    def __init__(self, website: Website, cookie: str = "") -> None:
        self._website = website
        self._session = requests.Session()
        self._session.headers["Connection"] = "close"
        if cookie:
            self.cookie = cookie
        self.page = self.get("/")

    @property
    def cookie(self) -> str:
        return str(self._session.cookies["session"])

    @cookie.setter
    def cookie(self, value: str) -> None:
        self._session.cookies.clear()
        self._session.cookies.set("session", value, domain="localhost.local", path="/")

    def _hidden(self, pattern: str) -> str:
        found = re.search(pattern, self.page.text)
        return found[1] if found else ""

    @property
    def nonce(self) -> str:
        return self._hidden('data-nonce="(.*?)"')

    @property
    def csrf(self) -> str:
        return self._hidden('name="csrf" value="(.*?)"')

    @property
    def heading(self) -> str:
        return self._hidden("<h1>(.*?)</h1>")

    @property
    def error(self) -> str:
        return self._hidden('role="alert">(.*?)</p>')

    def get(self, path: str) -> requests.Response:
        self.page = self._session.get(self._website.url + path, timeout=60)
        return self.page

    def post(self, path: str, **form: str) -> requests.Response:
        self.page = self._session.post(self._website.url + path, {"csrf": self.csrf, **form}, timeout=60)
        return self.page

    def prove(self, phone: str, path: str = "/login") -> requests.Response:
        return self.post(path, proof=sign(sub=phone, nonce=self.nonce))

    def add_app(self) -> tuple[pyotp.TOTP, list[str]]:
        """Add an authenticator app, which uses one of its codes. Return the app and the backup codes."""
        self.get("/authenticator")
        totp = pyotp.TOTP(self._hidden('id="secret">(.*?)<'))
        self.post("/authenticator", code=totp.now())
        codes = re.findall("<li><code>(.*?)</code>", self.page.text)
        assert len(set(codes)) == 10, self.error
        self.get("/")
        return totp, codes


def member(website: Website, phone: str) -> tuple[Visitor, pyotp.TOTP, list[str]]:
    """Return a visitor who is logged in, with an authenticator app and backup codes."""
    visitor = Visitor(website)
    visitor.prove(phone)
    totp, codes = visitor.add_app()
    website.let_time_pass()
    return visitor, totp, codes


def at_second_factor(website: Website, phone: str) -> Visitor:
    visitor = Visitor(website)
    visitor.prove(phone)
    assert visitor.heading == "One more code"
    return visitor


def later(totp: pyotp.TOTP) -> str:
    """Return the app's next code, as on a phone whose clock is ahead."""
    return totp.at(int(time.time()) + 30)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def test_the_example_is_small() -> None:
    assert sum(path.read_text().count("\n") for path in EXAMPLE.glob("*.py")) < 250


def assert_accessible(page: Page) -> None:
    """Check that a person who uses a screen reader or only the keyboard meets no barrier."""
    assert [violation["id"] for violation in Axe().run(page).response["violations"]] == []


def prove_by_sms(page: Page, website: Website, phone: str, database: redis.Redis) -> None:
    if keys := database.keys("*:cooldown"):
        database.delete(*keys)
    page.get_by_label("Phone number", exact=True).fill(phone)
    page.get_by_role("button", name="Send me a code").click()
    pin = page.get_by_label("Code from the SMS")
    expect(pin).to_be_focused()
    expect(pin).to_have_attribute("autocomplete", "one-time-code")
    expect(pin).to_have_attribute("inputmode", "numeric")
    assert_accessible(page)
    pin.fill(website.make_run.pin(phone))
    pin.press("Enter")


def enter_code(page: Page, code: str) -> None:
    expect(page.get_by_role("heading")).to_have_text("One more code")
    field = page.get_by_label("Code of your authenticator app")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("autocomplete", "one-time-code")
    field.fill(code)
    field.press("Enter")


def log_out(page: Page) -> None:
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading")).to_have_text("Log in or sign up")


@pytest.fixture
def page(browser: Browser, website: Website) -> Iterator[Page]:
    """The website in a new browser context, which must report no error."""
    context, errors = browser.new_context(), list[str]()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
    page.goto(website.url)
    yield page
    context.close()
    assert errors == []


def test_a_person_signs_up_logs_in_and_loses_the_phone(
    page: Page, website: Website, database: redis.Redis, phone: str
) -> None:
    heading, new_phone = page.get_by_role("heading"), phone.replace("+49151", "+49160")
    assert_accessible(page)
    prove_by_sms(page, website, phone, database)
    expect(heading).to_have_text("You are logged in")
    expect(page.get_by_text(phone)).to_be_visible()
    assert_accessible(page)
    page.get_by_role("link", name="Add an authenticator app").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    assert_accessible(page)
    totp = pyotp.TOTP(page.locator("#secret").inner_text())
    page.get_by_label("Type the code").fill(totp.now())
    page.get_by_role("button", name="Add the app").click()
    expect(heading).to_have_text("Your backup codes")
    assert_accessible(page)
    codes = page.locator("li code").all_inner_texts()
    page.get_by_role("link", name="I have kept them").click()
    log_out(page)

    prove_by_sms(page, website, phone, database)
    enter_code(page, later(totp))
    expect(heading).to_have_text("You are logged in")
    assert_accessible(page)
    log_out(page)

    prove_by_sms(page, website, phone, database)
    enter_code(page, codes[0].lower().replace("-", " "))
    expect(heading).to_have_text("You are logged in")
    log_out(page)

    prove_by_sms(page, website, phone, database)
    enter_code(page, codes[0])
    expect(page.get_by_role("alert")).to_have_text(WRONG_CODE)
    assert_accessible(page)
    page.get_by_role("button", name="Cancel").click()

    page.get_by_text("I lost my phone").click()
    assert_accessible(page)
    page.get_by_label("Phone number until now").fill(phone)
    page.get_by_label("Backup code").fill(codes[1])
    page.get_by_role("button", name="Set a new number").click()
    expect(heading).to_have_text("Your new phone number")
    prove_by_sms(page, website, new_phone, database)
    expect(page.get_by_text("Your new phone number is set.")).to_be_visible()
    prove_by_sms(page, website, new_phone, database)
    enter_code(page, codes[2])
    expect(page.get_by_text(new_phone)).to_be_visible()


def test_a_wrong_pin_is_reported_and_corrected(page: Page, website: Website, database: redis.Redis, phone: str) -> None:
    page.get_by_label("Phone number", exact=True).fill("12")
    page.get_by_role("button", name="Send me a code").click()
    expect(page.get_by_role("status")).to_have_text("Invalid phone number.")
    page.get_by_label("Phone number", exact=True).fill(phone)
    page.get_by_role("button", name="Send me a code").click()
    expect(page.get_by_role("status")).to_have_text("A code is on its way.")
    pin = website.make_run.pin(phone)
    page.get_by_label("Code from the SMS").fill(wrong(pin))
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("status")).to_have_text("Invalid or expired OTP.")
    page.get_by_label("Code from the SMS").fill(pin)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading")).to_have_text("You are logged in")


def test_a_proof_belongs_to_its_session_and_counts_once(website: Website, phone: str) -> None:
    visitor, other = Visitor(website), Visitor(website)
    before, form = visitor.cookie, {"csrf": visitor.csrf, "proof": sign(sub=phone, nonce=visitor.nonce)}
    assert other.post("/login", proof=form["proof"]).status_code == 403
    assert NOT_CONFIRMED in other.error
    assert visitor.post("/login", **form).status_code == 200
    assert visitor.heading == "You are logged in"
    assert Visitor(website, before).post("/login", **form).status_code == 403, "with the old cookie"


def test_only_one_of_simultaneous_proofs_counts(website: Website, phone: str) -> None:
    visitor = Visitor(website)
    form = {"csrf": visitor.csrf, "proof": sign(sub=phone, nonce=visitor.nonce)}
    visitors = [Visitor(website, visitor.cookie) for _ in range(8)]
    with ThreadPoolExecutor(8) as crowd:
        pages = list(crowd.map(lambda each: each.post("/login", **form).status_code, visitors))
    assert Counter(pages) == {200: 1, 403: 7}


@pytest.mark.parametrize(
    "proof", [{"test": True}, {"purpose": "newsletter"}, {"sub": "jo@example.com", "amr": ["otp"]}]
)
def test_a_proof_of_something_else_is_refused(website: Website, phone: str, proof: dict[str, Any]) -> None:
    visitor = Visitor(website)
    visitor.post("/login", proof=sign(**{"sub": phone, "nonce": visitor.nonce, **proof}))
    assert NOT_CONFIRMED in visitor.error


def test_a_form_needs_the_csrf_token_of_its_session(website: Website, phone: str) -> None:
    visitor, other = Visitor(website), Visitor(website)
    proof = sign(sub=phone, nonce=visitor.nonce)
    for csrf in ("", "é", other.csrf):
        assert visitor.post("/login", csrf=csrf, proof=proof).status_code == 400
        visitor.get("/")
    assert website.sql("SELECT 1 FROM users WHERE phone = ?", phone) == []


def test_a_login_starts_a_new_session_and_a_logout_ends_all(website: Website, phone: str) -> None:
    visitor = Visitor(website)
    planted, csrf = visitor.cookie, visitor.csrf
    set_cookie = visitor.page.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax"} <= set(set_cookie.split("; "))
    visitor.prove(phone)
    assert visitor.csrf != csrf
    assert Visitor(website, planted).heading == "Log in or sign up"
    kept, other = visitor.cookie, Visitor(website)
    other.prove(phone)
    assert [Visitor(website, each).heading for each in (kept, other.cookie)] == ["You are logged in"] * 2
    visitor.post("/logout")
    assert [Visitor(website, each).heading for each in (kept, other.cookie)] == ["Log in or sign up"] * 2


def test_with_https_the_cookie_is_secure(tmp_path: Path) -> None:
    code = "import login; c = login.app.config.get_namespace('SESSION_COOKIE_'); print(c['name'], c)"
    given = {"PATH": os.environ["PATH"], "LOGIN_URL": "https://example.com", "LOGIN_DATABASE": str(tmp_path / "db")}
    python = [sys.executable, "-c", code]
    output = subprocess.run(python, cwd=EXAMPLE, env=given, capture_output=True, text=True, check=True).stdout
    assert output.split()[:1] == ["__Host-session"]
    assert "'secure': True" in output


def test_another_host_is_refused(website: Website) -> None:
    answer = requests.get(website.url, headers={"Host": "evil.example", "Connection": "close"}, timeout=60)
    assert answer.status_code == 400


def test_a_code_of_the_app_counts_once(website: Website, phone: str) -> None:
    _, totp, _ = member(website, phone)
    code = later(totp)
    at_second_factor(website, phone).post("/second-factor", code=code)
    again = at_second_factor(website, phone)
    for older in (code, totp.now()):
        again.post("/second-factor", code=older)
        assert again.error == WRONG_CODE
    assert again.get("/").status_code == 200
    assert again.heading == "One more code"


def test_the_code_that_added_the_app_does_not_log_in(website: Website, phone: str) -> None:
    visitor = Visitor(website)
    visitor.prove(phone)
    totp, _ = visitor.add_app()
    used = totp.at(website.sql("SELECT totp_step FROM users WHERE phone = ?", phone)[0][0] * 30)
    again = at_second_factor(website, phone)
    again.post("/second-factor", code=used)
    assert again.error == WRONG_CODE


@pytest.mark.parametrize("kind", ["app", "backup"])
def test_only_one_of_simultaneous_codes_counts(website: Website, phone: str, kind: str) -> None:
    _, totp, codes = member(website, phone)
    visitors = [at_second_factor(website, phone) for _ in range(5)]
    code = later(totp) if kind == "app" else codes[0]
    with ThreadPoolExecutor(5) as crowd:
        statuses = Counter(crowd.map(lambda each: each.post("/second-factor", code=code).status_code, visitors))
    assert statuses == {200: 1, 403: 4}


def test_guesses_are_limited_even_if_simultaneous(website: Website, phone: str) -> None:
    _, totp, codes = member(website, phone)
    visitors = [at_second_factor(website, phone) for _ in range(10)]
    with ThreadPoolExecutor(10) as crowd:
        list(crowd.map(lambda each: each.post("/second-factor", code=wrong(later(totp))), visitors))
    assert Counter(visitor.error for visitor in visitors)[WRONG_CODE] == 5
    visitors[0].post("/second-factor", code=codes[0])
    assert TOO_MANY in visitors[0].error
    website.let_time_pass()
    visitors[0].post("/second-factor", code=codes[0])
    assert visitors[0].heading == "You are logged in", "a guess that was not judged used nothing up"


def test_backup_codes_are_kept_as_hashes_and_end_with_the_app(website: Website, phone: str) -> None:
    visitor, totp, codes = member(website, phone)
    dump = str(website.sql("SELECT * FROM users JOIN backup_codes ON user_id = id"))
    assert not [code for code in codes if code in dump or code.replace("-", "") in dump]
    visitor.post("/authenticator/remove", code=wrong(later(totp)))
    assert visitor.error == WRONG_CODE
    visitor.post("/authenticator/remove", code=codes[0])
    assert "Add an authenticator app" in visitor.page.text
    stranger = Visitor(website)
    stranger.post("/recover", phone=phone, code=codes[1])
    assert stranger.error == WRONG_CODE


def test_one_factor_does_not_reach_the_account(website: Website, phone: str) -> None:
    member(website, phone)
    visitor = at_second_factor(website, phone)
    for path in ("/authenticator", "/"):
        assert visitor.get(path).url == f"{website.url}/"
        assert visitor.heading == "One more code"
    for path in ("/authenticator", "/authenticator/remove", "/phone", "/login", "/recover"):
        visitor.post(path, code="", proof="", phone="")
        assert visitor.heading == "One more code"


def test_an_app_cannot_be_replaced_by_another(website: Website, phone: str) -> None:
    """With a stolen session, a person must not lock out its owner by replacing the app."""
    visitor, _, _ = member(website, phone)
    secret = website.sql("SELECT totp_secret FROM users WHERE phone = ?", phone)
    visitor.get("/authenticator")
    other = re.search('id="secret">(.*?)<', visitor.page.text)
    assert other
    visitor.post("/authenticator", code=pyotp.TOTP(other[1]).now())
    assert website.sql("SELECT totp_secret FROM users WHERE phone = ?", phone) == secret


def without_tokens(page: requests.Response) -> tuple[int, str]:
    return page.status_code, re.sub('(value|data-nonce)="[^"]*"', "", page.text)


def test_a_recovery_does_not_reveal_who_has_an_account(website: Website, phone: str) -> None:
    """The sixth guess does not reveal it either, since unknown numbers have the same limit."""
    member(website, phone)
    without_app, unknown = phone.replace("+49151", "+49152"), phone.replace("+49151", "+49153")
    Visitor(website).prove(without_app)
    output = []
    for number in (phone, without_app, unknown):
        visitor = Visitor(website)
        pages = []
        for _ in range(6):
            website.sql("DELETE FROM guesses WHERE who LIKE 'address %'")
            pages.append(without_tokens(visitor.post("/recover", phone=number, code="000000")))
        output.append(pages)
        assert TOO_MANY in visitor.error
    assert output[0] == output[1] == output[2]


def test_one_address_cannot_try_many_numbers(website: Website, phone: str) -> None:
    _, _, codes = member(website, phone)
    visitor = Visitor(website)
    for n in range(5):
        visitor.post("/recover", phone=f"+4915200000{n}", code="000000")
        assert visitor.error == WRONG_CODE
    visitor.post("/recover", phone=phone, code=codes[0])
    assert TOO_MANY in visitor.error


def test_recovery_guesses_of_strangers_do_not_lock_the_owner_out(website: Website, phone: str) -> None:
    _, _, codes = member(website, phone)
    stranger = Visitor(website)
    for _ in range(6):
        stranger.post("/recover", phone=phone, code="000000")
    visitor = at_second_factor(website, phone)
    visitor.post("/second-factor", code=codes[0])
    assert visitor.heading == "You are logged in"


def test_a_recovery_sets_a_new_number_and_nothing_else(website: Website, phone: str) -> None:
    owner, totp, codes = member(website, phone)
    new, taken = phone.replace("+49151", "+49160"), phone.replace("+49151", "+49170")
    Visitor(website).prove(taken)
    visitor, code = Visitor(website), later(totp)
    visitor.post("/recover", phone=f"  {phone[:3]} {phone[3:]}", code=code)
    assert (visitor.heading, phone in visitor.page.text) == ("Your new phone number", False)
    for path in ("/authenticator", "/authenticator/remove", "/second-factor", "/login"):
        visitor.post(path, code=codes[0], proof="")
        assert visitor.heading == "Your new phone number"
    visitor.prove(taken, "/phone")
    assert "an account of its own" in visitor.error
    recovery = visitor.cookie
    visitor.prove(new, "/phone")
    assert "Your new phone number is set." in visitor.page.text
    for cookie in (visitor.cookie, recovery, owner.cookie):
        assert Visitor(website, cookie).heading == "Log in or sign up", "nobody is logged in by it"
    with_old = Visitor(website)
    with_old.prove(phone)
    assert "Add an authenticator app" in with_old.page.text, "whoever gets the old number has another account"
    with_new = at_second_factor(website, new)
    with_new.post("/second-factor", code=code)
    assert with_new.error == WRONG_CODE, "the code of the recovery counts no second time"
    with_new.post("/second-factor", code=codes[0])
    assert with_new.heading == "You are logged in"
