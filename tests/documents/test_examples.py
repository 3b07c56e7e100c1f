"""The examples for trying out the service: every line of them runs against the service that `make run` starts."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from app import create_app
from config import Settings
from otp.proofs import new_signing_key
from otp.web import error_responses
from tests.support import npm_tools
from tests.support.make_run import MakeRun
from tests.support.pages import ALL_PAGES, PAGES
from tests.support.programs import program
from tests.support.receiver import until
from tests.support.running import ACCOUNT, ROOT

Json = dict[str, Any]
HTTP_FILE = (ROOT / "examples/otp.http").read_text()
POSTMAN = ROOT / "examples/postman"
COLLECTION: Json = json.loads((POSTMAN / "otp.postman_collection.json").read_text())
REQUESTS: list[Json] = [request for folder in COLLECTION["item"] for request in folder["item"]]
# Members of responses that differ each time: by the request, the phone number or the key of a `make run`.
CHANGING = {"verificationId", "proof", "phoneNumber", "verifiedAt", "version", "x", "kid"}
EVERYTHING: Json = {  # settings that switch on every feature
    "infobip_base_url": "https://127.0.0.1:1",
    "redis_url": "redis://127.0.0.1:1/0",
    "proof_signing_key": new_signing_key(),
    "api_keys": "shop:shop-key-0123456789",
    "delivery_reports_secret": "reports-secret-0123456789",
    "track_delivery": True,
    **{name.lower(): value for name, value in ACCOUNT.items()},
}
REFUSALS = {(status, error.code, error.sentence) for error, status in error_responses.STATUS.items()} | {
    (404, "not_found", "Not Found."),
    (405, "method_not_allowed", "Method Not Allowed."),
}


@pytest.fixture(scope="module")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeRun]:
    with MakeRun.started(tmp_path_factory.mktemp("make_run")) as make_run:
        yield make_run


@pytest.fixture
def newman(make_run: MakeRun, tmp_path: Path) -> Callable[..., Json]:
    """Run the collection with an environment, and return newman's report after checking that nothing failed."""
    newman = npm_tools.command("newman")
    inherited = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    def run(environment: str, *options: str) -> Json:
        values = tmp_path / "environment.json"
        values.write_text(make_run.with_own_ports((POSTMAN / f"{environment}.postman_environment.json").read_text()))
        report = tmp_path / "report.json"
        command = [newman, "run", str(POSTMAN / "otp.postman_collection.json"), "-e", str(values), *options]
        command += ["--color", "off", "--reporters", "cli,json", "--reporter-json-export", str(report)]
        ran = subprocess.run(command, env=inherited, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        answered: Json = json.loads(report.read_text())["run"]
        assert answered["failures"] == []
        assert {kind: n for kind, n in answered["stats"].items() if n["pending"] or n["failed"]} == {}
        assert not [a for e in answered["executions"] for a in e.get("assertions", []) if a["skipped"]]
        return answered

    return run


def names(report: Json) -> list[str]:
    return [execution["item"]["name"] for execution in report["executions"]]


def body_of(report: Json, name: str) -> Json:
    (answer,) = [e["response"] for e in report["executions"] if e["item"]["name"] == name]
    body: Json = json.loads(bytes(answer["stream"]["data"]))
    return body


def assertions_of(request: Json) -> int:
    """Return how many assertions a request has, with the collection's own one for every response of the service."""
    scripts = [event["script"]["exec"] for event in request["event"]]
    url: str = request["request"]["url"]
    return str(scripts).count("pm.test(") + url.startswith("{{service}}")


def test_the_collection_runs_from_top_to_bottom(newman: Callable[..., Json]) -> None:
    report = newman("local")
    assert names(report) == [request["name"] for request in REQUESTS]
    assert [len(e["assertions"]) for e in report["executions"]] == [assertions_of(request) for request in REQUESTS]


def test_the_saved_examples_equal_the_responses(newman: Callable[..., Json]) -> None:
    for execution, request in zip(newman("local")["executions"], REQUESTS, strict=True):
        answer, name = execution["response"], request["name"]
        saved = [example for example in request["response"] if example["code"] == answer["code"]]
        assert len(saved) == 1, f"{name}: no one example for its {answer['code']}"
        shown = {header["key"] for header in saved[0]["header"]}
        assert shown <= {header["key"] for header in answer["header"]}, name
        body = bytes(answer["stream"]["data"]).decode().strip()
        assert shape(request, saved[0]["body"]) == shape(request, body), name


def shape(request: Json, body: str) -> Any:
    """Return what must be the same each time: the unchanging part of a response, or the members of the inbox."""
    if request["request"]["url"].startswith("{{service}}"):
        return unchanging(body) if body.startswith("{") else body
    return [sorted(message) for message in json.loads(body)["messages"]]


def unchanging(body: str) -> Any:
    """Return a response of the service, in which members that differ each time have no value."""
    return json.loads(body, object_hook=lambda members: {**members, **dict.fromkeys(CHANGING & members.keys())})


def test_in_the_live_environment_a_person_enters_the_pin(newman: Callable[..., Json], make_run: MakeRun) -> None:
    phone = "+385911234567"
    given = ["--env-var", f"service=http://localhost:{make_run.port}", "--env-var", f"phoneNumber={phone}"]
    needs_pin = ["The PIN", "The same PIN again"]
    posted_by_infobip = ["A delivery report of Infobip", "The same, with the secret in the path"]
    needs_proof = ["Redeem the proof", "Redeem it again", "A changed proof"]
    skipped = ["By e-mail", "Read the PIN in the sandbox's inbox", *needs_pin, *needs_proof]
    skipped += posted_by_infobip
    report = newman("live", *given)
    ran = names(report)
    assert [request["name"] for request in REQUESTS if request["name"] not in ran] == skipped
    folders = [option for name in needs_pin for option in ("--folder", name)]
    # Postman keeps what a request stored in the environment. newman starts each run without it.
    given += ["--env-var", f"verificationId={body_of(report, 'Send a PIN')['verificationId']}"]
    assert names(newman("live", *given, "--env-var", f"pin={make_run.pin(phone)}", *folders)) == needs_pin


def test_every_refusal_has_an_example_and_no_other_is_shown() -> None:
    shown = set()
    for request in REQUESTS:
        for example in request["response"]:
            assert example["originalRequest"].items() <= request["request"].items(), example["name"]
            assert example["name"].startswith(str(example["code"]))
            if example["code"] >= 400:
                body = json.loads(example["body"])
                assert list(body) == ["error", "code"]
                shown.add((example["code"], body["code"], body["error"]))
    assert shown == REFUSALS


def test_every_endpoint_is_shown_everywhere() -> None:
    app = create_app(Settings(**EVERYTHING))
    endpoints = {
        (method, rule.rule) for rule in app.url_map.iter_rules() for method in (rule.methods or set()) & {"GET", "POST"}
    }
    endpoints -= {
        ("GET", path) for path in ("/openapi.json", "/docs", "/docs/<file>")
    }  # documentation, which docs/api.md links
    linked = set(re.findall("<.*?>", PAGES["docs/api.md"]))
    assert {"<http://localhost:3000/docs>", "<http://localhost:3000/openapi.json>"} <= linked
    collection = {(r["request"]["method"], r["request"]["url"].removeprefix("{{service}}")) for r in REQUESTS}
    http_file = set(re.findall(r"^([A-Z]+) {{service}}(\S+)$", HTTP_FILE, re.MULTILINE))
    curls = re.findall(r"(curl .*:3000(/\S*).*)", ALL_PAGES)
    pages = {("POST" if "-d" in line else "GET", path) for line, path in curls}
    missing = [[each for each in endpoints if not is_shown(each, shown)] for shown in (collection, http_file, pages)]
    assert missing == [[], [], []]


def is_shown(endpoint: tuple[str, str], shown: set[tuple[str, str]]) -> bool:
    method, rule = endpoint
    path = re.compile(re.sub("<.*?>", "[^/]+", rule))
    return any(method == each and path.fullmatch(where) for each, where in shown)


def test_the_http_file_runs_from_top_to_bottom(make_run: MakeRun) -> None:
    """The test reads it like VS Code's REST Client: values come from responses to named requests, not from pasting."""
    head, *blocks = re.split("^### ", make_run.with_own_ports(HTTP_FILE), flags=re.MULTILINE)
    variables = dict(re.findall("^@(.*) = (.*)$", head, re.MULTILINE))
    answers = dict[str, Json]()
    for block in blocks:
        title, _, text = block.partition("\n")
        name, text = re.findall(r"\A# @name (\w+)\n", text), re.sub(r"\A# .*\n", "", text)
        for _ in range(2):  # a variable may hold another one
            text = re.sub("{{(.*?)}}", lambda found: value(found[1], variables, answers), text)
        answer = perform(text)
        answers.update({each: answer.json() for each in name})
        code = answer.json()["code"] if answer.status_code >= 400 else ""
        assert title.endswith(f": {answer.status_code} {code}".rstrip()), f"{title}: {answer.status_code} {code}"
        assert answer.request.headers.get("X-Request-ID") in (None, answer.headers.get("X-Request-ID"))
    assert len(blocks) == len(re.findall("^(GET|POST) ", HTTP_FILE, re.MULTILINE))


def value(expression: str, variables: dict[str, str], answers: dict[str, Json]) -> str:
    """Return the value of a variable, or of a JSONPath into the response to a named request that was sent before."""
    name, of_answer, path = expression.partition(".response.body.$.")
    if not of_answer:
        return variables[name]
    found: Any = answers[name]
    for step in re.findall(r"\w+", path):
        found = found[int(step) if step.isdigit() else step]
    return str(found)


def perform(text: str) -> requests.Response:
    head, _, body = text.strip().partition("\n\n")
    line, *fields = head.splitlines()
    method, url = line.split()
    headers = dict(field.split(": ") for field in fields)
    return requests.request(method, url, data=body, headers={"Connection": "close", **headers}, timeout=5)


def test_the_curl_lines_of_the_pages_return_what_the_pages_show(make_run: MakeRun) -> None:
    program("curl")
    reached, real = 0, dict[str, str]()
    for name in sorted(PAGES):
        make_run.forget()  # each page begins with its own send
        for line, answer in curl_lines(PAGES[name]):
            comment = re.split(" {2,}", line.partition(" # ")[2].strip())[0]
            assert answer or comment, f"{name} does not say what comes back from: {line}"
            output = paste(make_run, line, real).strip()
            if answer.startswith("{"):
                assert unchanging(output) == unchanging(answer)
                real |= stand_ins(answer, output)
            else:
                assert output == comment or series(answer) & series(output)
            reached += 1
    local = re.findall(r"curl\b[^`]*?//(?:localhost|127\.0\.0\.1)\b", ALL_PAGES)
    assert len(local) == reached >= 5


def series(metrics: str) -> set[tuple[str, ...]]:
    """Return the name and the labels of each metric, without their values."""
    return {(name, *re.findall(r"(\w+)=", labels)) for name, labels in re.findall(r"(?m)^(\w+)\{(.*)\} ", metrics)}


def curl_lines(page: str) -> Iterator[tuple[str, str]]:
    """Yield each curl line for this machine with the response that the page shows below its block."""
    for block, answer in re.findall(r"^```sh\n(.*?)^```\n(?:```(?:json)?\n(.*?)```)?", page, re.MULTILINE | re.DOTALL):
        for line in re.findall(r"^curl .*//(?:localhost|127\.0\.0\.1)\b.*$", block, re.MULTILINE):
            yield line, answer


def test_with_make_run_a_number_without_an_sms_can_be_called_soon(make_run: MakeRun) -> None:
    """As docs/infobip.md says, `make run` switches Infobip's delivery reports on."""
    service, phone = f"http://localhost:{make_run.port}", {"phoneNumber": "+14155550109"}

    def post(path: str, **more: str) -> int:
        headers = {"Connection": "close"}
        return requests.post(service + path, json={**phone, **more}, headers=headers, timeout=5).status_code

    assert post("/send-otp") == 200
    until(lambda: post("/resend-otp", channel="voice") == 200)
    assert make_run.pins(phone["phoneNumber"]), "calls do arrive"


def stand_ins(shown: str, output: str) -> dict[str, str]:
    """Map the example values of a page to the real ones, which differ each time. Later lines need them, too."""
    example, answer = json.loads(shown), json.loads(output)
    return {example[name]: answer[name] for name in {"verificationId", "proof"} & answer.keys()}


def paste(make_run: MakeRun, line: str, real: dict[str, str]) -> str:
    """Run a line in a shell, with the PIN of the inbox and the `real` values in place of those on the page."""
    for shown, given in real.items():
        line = line.replace(shown, given)
    if "123456" in line:
        (phone,) = re.findall(r"\+[0-9]+", line)
        line = line.replace("123456", make_run.pin(phone))
    return subprocess.run(
        ["sh", "-c", make_run.with_own_ports(line)], capture_output=True, text=True, check=True
    ).stdout


def test_the_refusals_on_the_pages_are_real() -> None:
    bodies = re.findall(r'^```json\n({"error".*?)```', ALL_PAGES, re.MULTILINE | re.DOTALL)
    shown = [json.loads(body) for body in bodies]
    assert shown
    assert {(body["code"], body["error"]) for body in shown} <= {(code, sentence) for _, code, sentence in REFUSALS}


def test_the_files_that_the_pages_name_are_there() -> None:
    named = re.findall(r"examples/[\w./-]*\w", ALL_PAGES)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_tests_that_hold_the_promises_are_there() -> None:
    table = PAGES["docs/reliability.md"]
    held = re.findall(r"\(\.\./(tests/[\w/]+\.py)\)((?:,? ?`test_\w+`)*)", table)
    assert len(held) >= 12
    for path, names in held:
        text = (ROOT / path).read_text()
        assert [name for name in re.findall(r"`(test_\w+)`", names) if f"def {name}(" not in text] == []
