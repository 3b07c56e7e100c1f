"""A client of the service that writes down what it asks and what it is told."""

from typing import NamedTuple

import requests

from tests.faults.journal import Journal, Verb

PATIENCE = 30.0  # seconds


class Told(NamedTuple):
    """Status and code of an answer; the code is empty for a success, and status 0 is no answer."""

    status: int
    code: str = ""


class Client:
    """Asks the service at `url`, on a new connection each time; from as many threads as there are."""

    def __init__(self, url: str, journal: Journal) -> None:
        self._url = url
        self._journal = journal

    def send(self, phone: str) -> Told:
        return self._ask("send", phone, "", {"phoneNumber": phone})

    def verify(self, phone: str, pin: str) -> Told:
        return self._ask("verify", phone, pin, {"phoneNumber": phone, "pin": pin})

    def _ask(self, verb: Verb, phone: str, pin: str, body: dict[str, str]) -> Told:
        call = self._journal.asked(verb, phone, pin)
        told = self._post(f"{self._url}/{verb}-otp", body)
        self._journal.answered(call, *told)
        return told

    def _post(self, url: str, body: dict[str, str]) -> Told:
        try:
            response = requests.post(url, json=body, headers={"Connection": "close"}, timeout=PATIENCE)
        except requests.RequestException:
            return Told(0)
        said = response.json()
        assert response.status_code == 200 or set(said) == {"error", "code"}, said
        return Told(response.status_code, said.get("code", ""))
