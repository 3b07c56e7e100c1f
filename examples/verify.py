"""Verify a phone number:    python verify.py +14155552671

Needs `pip install requests`. OTP_URL is the URL of the service, OTP_API_KEY an API key if the service requires one.
It exits with 0 only after the right PIN, with 2 if it is used wrongly, otherwise with 1.
"""

import os
import sys
import time
import uuid
from typing import Any

import requests

URL = os.environ.get("OTP_URL", "http://localhost:3000")
KEY = os.environ.get("OTP_API_KEY")


class Refused(Exception):  # noqa: N818
    """The service refused: decide by `code`. `wait` is in seconds, None if waiting does not help."""

    def __init__(self, answer: requests.Response) -> None:
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")  # otherwise a proxy responded
        body = answer.json() if is_json else {"error": f"HTTP {answer.status_code}.", "code": "unknown"}
        self.code, self.wait = body["code"], answer.headers.get("Retry-After")
        wait = f" Wait {self.wait} seconds." if self.wait else ""
        super().__init__(f"{body['error']}{wait} ({self.code}, request {answer.headers.get('X-Request-ID')})")


def post(path: str, body: dict[str, str], headers: dict[str, str]) -> dict[str, Any]:
    authorization = {"Authorization": f"Bearer {KEY}"} if KEY else {}
    answer = requests.post(URL + path, json=body, headers={**headers, **authorization}, timeout=30)
    if not answer.ok:
        raise Refused(answer)
    return dict(answer.json())


def send(phone: str, attempts: int = 3) -> dict[str, Any]:
    """Send a PIN. Without a response, repeat it with the same key: the service then sends no second SMS."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    for left in reversed(range(attempts)):
        try:
            return post("/send-otp", {"phoneNumber": phone}, headers)
        except (requests.RequestException, Refused) as e:
            if not left or (isinstance(e, Refused) and e.code != "request_in_progress"):
                raise
        time.sleep(1)
    raise AssertionError


def main(phone: str) -> None:
    sent = send(phone)
    print(f"A PIN is on its way. It lives {sent['expiresIn']} seconds.")
    while True:
        body = {"phoneNumber": phone, "pin": input("PIN: ").strip(), "verificationId": sent["verificationId"]}
        try:
            if post("/verify-otp", body, {})["message"] == "OTP verified successfully.":
                return print("Verified.")
            raise KeyError
        except Refused as e:
            if e.code not in ("invalid_otp", "invalid_pin_format"):
                raise
            print(e)  # a typo, or no attempt is left: press Ctrl-C and send again


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1]:
        print("Usage: python verify.py PHONE_NUMBER, like +14155552671; quote one with spaces.", file=sys.stderr)
        sys.exit(2)
    try:
        main(sys.argv[1])
    except (EOFError, KeyboardInterrupt):
        sys.exit("\nNot verified.")
    except Refused as e:
        sys.exit(str(e))
    except (requests.RequestException, KeyError) as e:  # KeyError: the 200 is not from the service
        sys.exit(f"The service cannot be reached: {type(e).__name__}.")
