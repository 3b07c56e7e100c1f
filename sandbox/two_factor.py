"""What Infobip's 2FA keeps and decides: applications, message templates, PINs and their limits. In memory.

Where Infobip's documents are silent, this is what the sandbox does:

    a limit is exceeded             429 TOO_MANY_REQUESTS; limits slide; a refused verify costs no attempt
    the last attempt is wrong       WRONG_PIN with 0 remaining; NO_MORE_PIN_ATTEMPTS from the next one on
    a used PIN, one use allowed     verified false, NO_MORE_PIN_ATTEMPTS
    a resend                        same PIN, same pinId, no new attempts, no longer life; counts as a send
    a second send to a number       the first PIN stays good
    an unknown application/message  404 NOT_FOUND
    `to`                            with or without its +; answered without
"""

import re
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from sandbox.model import ALPHABETS, ApiError, Application, Limit, Message, Pin, Template, Verdict, seconds

KEPT_MESSAGES = 1000
KEPT_AFTER_EXPIRY = 3600.0  # seconds in which an expired PIN still answers TTL_EXPIRED, not 404


class Windows:
    """Sliding windows by key. Not thread-safe by itself."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[str, deque[float]] = {}

    def take(self, key: str, limit: Limit) -> None:
        """Count one; raises ApiError 429 where `limit` is full."""
        now = self._clock()
        entries = self._entries.setdefault(key, deque())
        while entries and entries[0] <= now - limit.period:
            entries.popleft()
        if len(entries) >= limit.attempts:
            raise ApiError(429, "TOO_MANY_REQUESTS", "Too many requests")
        entries.append(now)


class TwoFactor:
    """The state behind the API. Every method may be called from any thread.

    Args:
        deliver: called with every message that is sent.
        clock: seconds; can be moved in tests.
    """

    def __init__(self, deliver: Callable[[Message], None], clock: Callable[[], float] = time.time) -> None:
        self._deliver = deliver
        self._clock = clock
        self._lock = threading.RLock()
        self._windows = Windows(clock)
        self._applications: dict[str, Application] = {}
        self._templates: dict[tuple[str, str], Template] = {}
        self._pins: OrderedDict[str, Pin] = OrderedDict()
        self.messages: deque[Message] = deque(maxlen=KEPT_MESSAGES)

    def add(self, application: Application, template: Template) -> None:
        """Make an application with its template known."""
        with self._lock:
            self._applications[application.application_id] = application
            self._templates[application.application_id, template.message_id] = template

    def send(self, application_id: str, message_id: str, to: str) -> Pin:
        """Make a PIN and send it to the number `to`."""
        with self._lock:
            template = self._templates.get((application_id, message_id))
            if template is None:
                raise ApiError(404, "NOT_FOUND", "Application or message not found")
            self._forget_old_pins()
            pin = self._new_pin(self._applications[application_id], template, _digits(to))
            self._send(pin)
            self._pins[pin.pin_id] = pin
            return pin

    def resend(self, pin_id: str) -> Pin:
        """Send the same PIN again."""
        with self._lock:
            pin = self._pin(pin_id)
            self._send(pin)
            return pin

    def verify(self, pin_id: str, value: str) -> tuple[Pin, Verdict]:
        """Judge `value`, which costs an attempt."""
        with self._lock:
            pin = self._pin(pin_id)
            configuration = pin.application.configuration
            self._windows.take(f"verify {pin.to}", Limit.parse(configuration.verify_pin_limit))
            return pin, self._judge(pin, value)

    def _judge(self, pin: Pin, value: str) -> Verdict:
        if self._clock() >= pin.expires_at:
            return Verdict(False, 0, "TTL_EXPIRED")
        used = pin.verified and not pin.application.configuration.allow_multiple_pin_verifications
        if used or not pin.attempts_left:
            return Verdict(False, 0, "NO_MORE_PIN_ATTEMPTS")
        pin.attempts_left -= 1
        if not secrets.compare_digest(value.encode(), pin.value.encode()):
            return Verdict(False, pin.attempts_left, "WRONG_PIN")
        pin.verified = True
        return Verdict(True, 0)

    def _send(self, pin: Pin) -> None:
        configuration = pin.application.configuration
        if not pin.application.enabled:
            raise ApiError(400, "BAD_REQUEST", "Application is not enabled")
        per_phone = Limit.parse(configuration.send_pin_per_phone_number_limit)
        self._windows.take(f"send {pin.application.application_id} {pin.to}", per_phone)
        per_application = Limit.parse(configuration.send_pin_per_application_limit)
        self._windows.take(f"send {pin.application.application_id}", per_application)
        text = pin.template.message_text.replace("{{pin}}", pin.value)
        message = Message(pin.to, pin.template.sender_id, text, pin.value, pin.pin_id, self._clock())
        self.messages.append(message)
        self._deliver(message)

    def _new_pin(self, application: Application, template: Template, to: str) -> Pin:
        alphabet = ALPHABETS[template.pin_type]
        return Pin(
            pin_id=secrets.token_hex(16).upper(),
            to=to,
            value="".join(secrets.choice(alphabet) for _ in range(template.pin_length)),
            application=application,
            template=template,
            expires_at=self._clock() + seconds(application.configuration.pin_time_to_live),
            attempts_left=application.configuration.pin_attempts,
        )

    def _pin(self, pin_id: str) -> Pin:
        if pin_id not in self._pins:
            raise ApiError(404, "NOT_FOUND", "Not found")
        return self._pins[pin_id]

    def _forget_old_pins(self) -> None:
        # Oldest first; lives may differ between applications, so a long one only delays the forgetting.
        while self._pins and next(iter(self._pins.values())).expires_at + KEPT_AFTER_EXPIRY < self._clock():
            self._pins.popitem(last=False)


def _digits(to: str) -> str:
    digits = to.removeprefix("+")
    if not re.fullmatch("[0-9]{4,15}", digits):
        raise ApiError(400, "BAD_REQUEST", "Bad request", to="must be a phone number in international format")
    return digits
