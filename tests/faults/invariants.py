"""Promises that hold whatever breaks, as a client sees them."""

import time

import requests

from tests.support.running import Sandbox, Service, refusal

UNAVAILABLE = (503, "service_unavailable")
TOO_MANY = (429, "too_many_requests")
NOT_SAVED = "The code that was sent cannot be verified. Please ask for a new one."


def seconds(response: requests.Response) -> float:
    """Return the time from the request to the head of its answer, without the checks of the tests."""
    return response.elapsed.total_seconds()


def within_two_seconds(service: Service, path: str, **body: str) -> tuple[int, str]:
    """The service refuses within two seconds and says when to ask again. Return status and code."""
    response = service.post(path, body)
    assert seconds(response) < 2
    assert int(response.headers["Retry-After"]) >= 1
    return refusal(response)


def quickly_refused(service: Service, phone: str) -> None:
    """The service sends and verifies nothing, and says so within two seconds."""
    assert within_two_seconds(service, "/send-otp", phoneNumber=phone) == UNAVAILABLE
    assert within_two_seconds(service, "/verify-otp", phoneNumber=phone, pin="123456") == UNAVAILABLE


def is_ready(service: Service) -> bool:
    """Return whether the service is ready. It must be alive in any case."""
    assert requests.get(f"{service.url}/healthz", timeout=2).status_code == 200
    response = requests.get(f"{service.url}/readyz", timeout=2)
    assert response.status_code == 200 or refusal(response) == UNAVAILABLE
    return response.status_code == 200


def back_within(seconds: float, service: Service, phone: str) -> None:
    """The service sends again without a restart, and answers nothing but 503 before."""
    until = time.monotonic() + seconds
    while (status := service.send(phone).status_code) != 200:
        assert status == 503
        assert time.monotonic() < until
        time.sleep(0.1)
    assert is_ready(service)


def whole_flow(service: Service, sandbox: Sandbox, phone: str) -> None:
    """An honest client is served as usual."""
    assert service.send(phone).status_code == 200
    assert refusal(service.send(phone)) == TOO_MANY
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200
    assert refusal(service.verify(phone, sandbox.pin(phone))) == (401, "invalid_otp")


def not_saved(response: requests.Response) -> None:
    """The answer says that the SMS cannot be verified."""
    assert refusal(response) == UNAVAILABLE
    assert response.json()["error"] == NOT_SAVED
    assert response.headers["Retry-After"] == "30"
