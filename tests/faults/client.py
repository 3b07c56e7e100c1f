"""A client of the service that records its requests and the responses."""

from dataclasses import dataclass, field

import requests

from tests.faults.journal import Journal, Verb

PATIENCE = 30.0  # seconds
KEYS = {"shop": "key-of-the-shop-16", "bank": "key-of-the-bank-16"}  # the client apps


@dataclass(frozen=True)
class Reply:
    """The status and the code of a response, and the verification id of a send, which is not compared.

    The code of a success is empty. Status 0 is no response.
    """

    status: int
    code: str = ""
    verification_id: str = field(default="", compare=False)


class Client:
    """The client app `name`. It sends each request to `url` on a new connection, from any number of threads."""

    def __init__(self, url: str, journal: Journal, name: str) -> None:
        self._url = url
        self._journal = journal
        self.name = name
        self._headers = {"Connection": "close", "Authorization": f"Bearer {KEYS[name]}"}

    def send(self, phone: str) -> Reply:
        return self._ask("send", phone)

    def resend(self, phone: str, verification_id: str = "") -> Reply:
        return self._ask("resend", phone, verification_id=verification_id)

    def verify(self, phone: str, pin: str, verification_id: str = "") -> Reply:
        return self._ask("verify", phone, pin, verification_id)

    def _ask(self, verb: Verb, phone: str, pin: str = "", verification_id: str = "") -> Reply:
        call = self._journal.ask(verb, phone, pin, self.name, verification_id)
        given = {"phoneNumber": phone, "pin": pin, "verificationId": verification_id}
        reply = self._post(f"{self._url}/{verb}-otp", {name: value for name, value in given.items() if value})
        self._journal.answer(call, reply.status, reply.code, reply.verification_id)
        return reply

    def _post(self, url: str, body: dict[str, str]) -> Reply:
        try:
            response = requests.post(url, json=body, headers=self._headers, timeout=PATIENCE)
        except requests.RequestException:
            return Reply(0)
        content = response.json()
        assert response.status_code == 200 or set(content) == {"error", "code"}, content
        return Reply(response.status_code, content.get("code", ""), content.get("verificationId", ""))
