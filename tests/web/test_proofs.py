"""A backend can check a proof by itself, and redeem it once."""

import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
import redis
import requests

from sandbox.free_port import free_port
from tests.support.pages import PAGES
from tests.support.programs import skip_or_fail
from tests.support.running import Sandbox, Service, other_pin, refusal
from tests.support.signing import KEY, OLD, OLDER, SETTINGS, Json, key_id, refused_proofs, sign

Start = Callable[..., Service]


@pytest.fixture
def service(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with keys that sign proofs."""
    return start(sandbox.url, **SETTINGS)


@pytest.fixture
def proof(service: Service, sandbox: Sandbox, phone: str) -> str:
    """A proof that `phone` was verified."""
    service.send(phone)
    return str(service.verify(phone, sandbox.pin(phone)).json()["proof"])


def redeem(service: Service, proof: Any) -> requests.Response:
    return service.post("/proofs/redeem", {"proof": proof})


def jwks(service: Service) -> list[Json]:
    answer = requests.get(f"{service.url}/.well-known/jwks.json", headers={"Connection": "close"}, timeout=5)
    assert answer.status_code == 200
    keys: list[Json] = answer.json()["keys"]
    return keys


def test_the_claims_of_a_proof(service: Service, proof: str, phone: str) -> None:
    (key,) = [key for key in jwks(service) if key["kid"] == jwt.get_unverified_header(proof)["kid"]]
    assert jwt.get_unverified_header(proof) == {"alg": "EdDSA", "typ": "JWT", "kid": key_id(KEY)}
    claims = jwt.decode(proof, jwt.PyJWK(key), ["EdDSA"], audience="backend", issuer="infobip-otp")
    assert abs(time.time() - claims["iat"]) < 60
    assert claims["exp"] == claims["iat"] + 300
    assert (claims["sub"], claims["amr"]) == (phone, ["sms"])
    assert re.fullmatch("[A-Za-z0-9_-]{22}", claims["jti"])
    assert set(claims) == {"iss", "aud", "sub", "amr", "jti", "iat", "exp"}


def test_a_proof_is_redeemed_once(service: Service, proof: str, phone: str) -> None:
    redeemed = redeem(service, proof)
    verified_at = jwt.decode(proof, options={"verify_signature": False})["iat"]
    assert (redeemed.status_code, redeemed.json()) == (200, {"phoneNumber": phone, "verifiedAt": verified_at})
    assert [refusal(redeem(service, proof)) for _ in range(3)] == [(409, "proof_already_redeemed")] * 3


def test_of_32_redeems_at_once_one_wins(service: Service) -> None:
    for _ in range(10):
        contested = sign()
        with ThreadPoolExecutor(32) as crowd:
            statuses = Counter(crowd.map(lambda _: redeem(service, contested).status_code, range(32)))  # noqa: B023
        assert statuses == {200: 1, 409: 31}


def test_a_redeemed_proof_is_remembered_for_longer_than_it_is_valid(
    service: Service, database: redis.Redis, proof: str
) -> None:
    """It is remembered for a minute longer, because the clocks of replicas may differ."""
    redeem(service, proof)
    (key,) = database.scan_iter("otp:redeemed:*")
    good_until: int = jwt.decode(proof, options={"verify_signature": False})["exp"]
    assert time.time() + database.ttl(key) > good_until + 50
    assert database.ttl(key) <= 361


def test_a_wrong_pin_gets_no_proof(service: Service, sandbox: Sandbox, phone: str) -> None:
    service.send(phone)
    assert refusal(service.verify(phone, other_pin(sandbox.pin(phone)))) == (401, "invalid_otp")


def test_without_a_key_there_are_no_proofs_and_no_such_paths(
    start: Start, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    service = start(sandbox.url)
    service.send(phone)
    assert service.verify(phone, sandbox.pin(phone)).json() == {"message": "OTP verified successfully."}
    answers = [requests.get(f"{service.url}/{path}", timeout=5) for path in (".well-known/jwks.json", "nothing")]
    answers.append(redeem(service, sign()))
    assert {(a.status_code, a.content) for a in answers} == {(404, answers[1].content)}


def test_old_keys_are_published_and_accepted(service: Service) -> None:
    assert [key["kid"] for key in jwks(service)] == [key_id(each) for each in (KEY, OLD, OLDER)]
    assert [set(key) for key in jwks(service)] == [{"kty", "crv", "x", "kid", "use", "alg"}] * 3, "no private key"
    for private in (OLD, OLDER):
        assert redeem(service, sign(private, kid=key_id(private))).status_code == 200


@pytest.mark.parametrize("name", refused_proofs())
def test_every_invalid_proof_is_refused_with_its_code(service: Service, database: redis.Redis, name: str) -> None:
    proof, status, code = refused_proofs()[name]
    assert refusal(redeem(service, proof)) == (status, code)
    assert list(database.scan_iter("otp:redeemed:*")) == []


def test_a_proof_is_never_logged(service: Service, proof: str) -> None:
    answers = [redeem(service, proof), *(redeem(service, refused) for refused, _, _ in refused_proofs().values())]
    assert "eyJ" not in service.log_with(*answers)
    assert proof not in service.log()


def test_without_redis_nothing_is_redeemed(start: Start, sandbox: Sandbox) -> None:
    service = start(sandbox.url, **{**SETTINGS, "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"})
    refused = redeem(service, sign())
    assert refusal(refused) == (503, "service_unavailable")
    assert "eyJ" not in service.log_with(refused)


def run_snippet(language: str, suffix: str, program: str, service: Service, directory: Path, proof: str) -> Any:
    """Run the page's first block in that language as a file, with the proof as its argument, and return the result."""
    block = re.findall(rf"^```{language}\n(.*?)^```", PAGES["docs/login.md"], re.MULTILINE | re.DOTALL)[0]
    assert "http://localhost:3000/.well-known/jwks.json" in block
    file = directory / f"check{suffix}"
    file.write_text(block.replace("http://localhost:3000", service.url))
    return subprocess.run([program, str(file), proof], capture_output=True, text=True, check=False, timeout=30)


SNIPPETS = [("python", ".py", sys.executable), ("js", ".mjs", "node")]
REFUSED = ["tampered", "another signature", "alg none", "an unknown key", "another issuer", "expired", "for another"]


@pytest.mark.parametrize(("language", "suffix", "program"), SNIPPETS)
def test_the_page_on_logins_checks_a_proof_offline(
    service: Service, tmp_path: Path, proof: str, phone: str, language: str, suffix: str, program: str
) -> None:
    if not shutil.which(program):
        skip_or_fail(f"no {program}; on Debian: apt install nodejs")
    for good, says in ((proof, phone), (sign(OLD, kid=key_id(OLD)), "+14155552671")):
        ran = run_snippet(language, suffix, program, service, tmp_path, good)
        assert (ran.returncode, ran.stdout.strip()) == (0, says), ran.stderr
    for name in REFUSED:
        ran = run_snippet(language, suffix, program, service, tmp_path, refused_proofs()[name][0])
        assert (ran.returncode != 0, ran.stdout) == (True, ""), name
