"""Checks of promises that a client sees kept under every fault."""

import time

import requests

from tests.support.running import Sandbox, Service, refusal

UNAVAILABLE = (503, "service_unavailable")
TOO_MANY = (429, "too_many_requests")
NOT_SAVED = "The code that was sent cannot be verified. Please ask for a new one."


def seconds(response: requests.Response) -> float:
    """Return the seconds from the request to the head of its response, without the time of the tests' own checks."""
    return response.elapsed.total_seconds()


def within_two_seconds(service: Service, path: str, **body: str) -> tuple[int, str]:
    """Check that the service refuses within two seconds, with a Retry-After. Return the status and the code."""
    response = service.post(path, body)
    assert seconds(response) < 2
    assert int(response.headers["Retry-After"]) >= 1
    return refusal(response)


def quickly_refused(service: Service, phone: str) -> None:
    """Check that the service refuses a send and a verify, each within two seconds."""
    assert within_two_seconds(service, "/send-otp", phoneNumber=phone) == UNAVAILABLE
    assert within_two_seconds(service, "/verify-otp", phoneNumber=phone, pin="123456") == UNAVAILABLE


def is_ready(service: Service) -> bool:
    """Return whether the service is ready. It must be alive in any case."""
    assert requests.get(f"{service.url}/healthz", timeout=2).status_code == 200
    response = requests.get(f"{service.url}/readyz", timeout=2)
    assert response.status_code == 200 or refusal(response) == UNAVAILABLE
    return response.status_code == 200


def back_within(seconds: float, service: Service, phone: str) -> None:
    """Check that the service sends again within `seconds`, without a restart, and responds only with 503 until then."""
    until = time.monotonic() + seconds
    while (status := service.send(phone).status_code) != 200:
        assert status == 503
        assert time.monotonic() < until
        time.sleep(0.1)
    assert is_ready(service)


def whole_flow(service: Service, sandbox: Sandbox, phone: str) -> None:
    """Check that an honest client is served as usual."""
    assert service.send(phone).status_code == 200
    assert refusal(service.send(phone)) == TOO_MANY
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200
    assert refusal(service.verify(phone, sandbox.pin(phone))) == (401, "invalid_otp")


def not_saved(response: requests.Response) -> None:
    """Check that the response says that the SMS cannot be verified."""
    assert refusal(response) == UNAVAILABLE
    assert response.json()["error"] == NOT_SAVED
    assert response.headers["Retry-After"] == "30"
