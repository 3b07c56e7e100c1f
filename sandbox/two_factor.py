"""The state and the rules of Infobip's 2FA: sends PINs and verifies them. In memory, bounded.

`quirks` says what happens where Infobip's documents are silent.
"""

import re
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from itertools import cycle, islice

from sandbox import test_numbers
from sandbox.api_error import ApiError, bad_request, not_found
from sandbox.applications import Applications, new_id
from sandbox.check_pin import check_pin
from sandbox.grammar import ALPHABETS, Limit, fill, seconds, without_plus
from sandbox.model import Application, Channel, EmailTemplate, ResendRequest, SendRequest, Template
from sandbox.pins import Message, Pin, SendResult, VerifyResult
from sandbox.quirks import Quirks
from sandbox.rate_limits import RateLimits
from sandbox.subscription_store import Subscriptions

KEPT_MESSAGES = 1000
KEPT_PINS = 100_000
KEPT_AFTER_EXPIRY = 3600.0  # seconds for which an expired PIN is still a TTL_EXPIRED, not a 404


class TwoFactor:
    """The state behind the API. All methods are thread-safe.

    Args:
        deliver: is called with every message that arrives.
        clock: returns seconds; tests can move it.
        fixed_pin: every PIN, repeated or cut to the template's length; None for random PINs.
    """

    def __init__(
        self,
        deliver: Callable[[Message], None],
        clock: Callable[[], float] = time.time,
        quirks: Quirks | None = None,
        fixed_pin: str | None = None,
    ) -> None:
        self._deliver = deliver
        self.now = clock
        self.quirks = quirks or Quirks()
        self._fixed_pin = fixed_pin
        self.applications = Applications(self.quirks)
        self.subscriptions = Subscriptions()
        self._lock = threading.RLock()
        self._rate_limits = RateLimits(clock)
        self._pins: OrderedDict[str, Pin] = OrderedDict()
        self._messages: deque[Message] = deque(maxlen=KEPT_MESSAGES)
        self._version = 0

    def send(self, request: SendRequest, channel: Channel, *, look_up: bool = True) -> SendResult:
        """Create a PIN and send it. `look_up`: Number Lookup first checks whether the number can be reached."""
        to = _destination(request.to, channel)
        application = self.applications.get(request.application_id)
        template = self.applications.template(request.application_id, request.message_id)
        with self._lock:
            self._check_send(application, template, to, channel)
            self._drop_old_pins()
            if self.quirks.older_pins == "void":
                self._void(application.application_id, to)
            pin = self._new_pin(application, template, to)
            self._pins[pin.pin_id] = pin
            return self._send(pin, channel, request.placeholders, sender=request.from_, look_up=look_up)

    def resend(self, pin_id: str, request: ResendRequest, channel: Channel) -> SendResult:
        """Send the same PIN again."""
        with self._lock:
            pin = self.pin(pin_id)
            if pin.state(self.now()) != "pending":
                raise not_found()
            application = self.applications.get(pin.application_id)
            self._check_send(application, pin.template, pin.to, channel, counts=self.quirks.resend_counts)
            if self.quirks.resend_restarts:
                pin.expires_at = self.now() + seconds(application.configuration.pin_time_to_live)
            return self._send(pin, channel, request.placeholders)

    def verify(self, pin_id: str, value: str) -> VerifyResult:
        """Check `value`, and count an attempt."""
        with self._lock:
            pin = self.pin(pin_id)
            configuration = self.applications.get(pin.application_id).configuration
            limit = Limit.parse(configuration.verify_pin_limit)
            try:
                self._rate_limits.take({f"verify {pin.application_id} {pin.to}": limit})
            except ApiError:
                pin.attempts_used += self.quirks.throttled_costs
                raise
            multiple = configuration.allow_multiple_pin_verifications
            result = check_pin(pin, value, self.now(), self.quirks, multiple=multiple)
            pin.changed = self._next_version()
            return result

    def pin(self, pin_id: str) -> Pin:
        """The PIN with this id. Raises ApiError if there is none."""
        with self._lock:
            if pin_id in self._pins:
                return self._pins[pin_id]
        raise not_found() if self.quirks.unknown_pin_status == "404" else bad_request()

    def verifications(self, application_id: str, to: str) -> list[Pin]:
        """The PINs that an application sent to `to` (number or e-mail address; "" for all), the oldest first."""
        self.applications.get(application_id)
        with self._lock:
            sent = [pin for pin in self._pins.values() if pin.application_id == application_id]
        return [pin for pin in sent if without_plus(to) in ("", pin.to)]

    def changes(self, since: int = 0) -> tuple[int, list[Message]]:
        """The version of the state, and the messages that are new or changed after version `since`, oldest first."""
        with self._lock:
            return self._version, [m for m in self._messages if max(m.serial, m.pin.changed) > since]

    def _check_send(
        self,
        application: Application,
        template: Template | EmailTemplate,
        to: str,
        channel: Channel,
        *,
        counts: bool = True,
    ) -> None:
        if not application.enabled:
            raise bad_request(applicationId="the application is not enabled")
        if channel not in template.channels:
            raise bad_request(messageId=f"the template is not for {channel}")
        if not counts:
            return
        key, configuration = f"send {application.application_id}", application.configuration
        per_number = Limit.parse(configuration.send_pin_per_phone_number_limit)
        in_all = Limit.parse(configuration.send_pin_per_application_limit)
        self._rate_limits.take({f"{key} {to}": per_number, key: in_all})

    def _send(
        self, pin: Pin, channel: Channel, filling: dict[str, str], *, sender: str | None = None, look_up: bool = True
    ) -> SendResult:
        pin.changed, fault = self._next_version(), test_numbers.fault(pin.to, "send")
        pin.reached = fault is not test_numbers.Fault.UNREACHABLE
        lost = fault is test_numbers.Fault.UNDELIVERABLE and channel is Channel.SMS
        text = fill(pin.template.message_text, {**filling, "pin": pin.value})
        sender = sender or pin.template.sender
        message = Message(pin.changed, channel, sender, text, self.now(), pin, arrived=pin.reached and not lost)
        if message.arrived:
            self._messages.append(message)
            self._deliver(message)
        # Without the lookup Infobip does not know better, and says that it has sent the message.
        return SendResult(message, looked_up=look_up, accepted=pin.reached or not look_up)

    def _new_pin(self, application: Application, template: Template | EmailTemplate, to: str) -> Pin:
        alphabet, length = ALPHABETS[template.pin_type], template.pin_length
        characters = cycle(self._fixed_pin) if self._fixed_pin else iter(lambda: secrets.choice(alphabet), "")
        lifetime = seconds(application.configuration.pin_time_to_live)
        return Pin(
            pin_id=new_id(),
            application_id=application.application_id,
            template=template,
            to=to,
            value="".join(islice(characters, length)),
            sent_at=self.now(),
            expires_at=self.now() + (0 if test_numbers.fault(to, "verify") is test_numbers.Fault.EXPIRED else lifetime),
            attempts_allowed=application.configuration.pin_attempts,
        )

    def _void(self, application_id: str, to: str) -> None:
        for pin in self.verifications(application_id, to):
            pin.expires_at, pin.changed = min(pin.expires_at, self.now()), self._next_version()

    def _drop_old_pins(self) -> None:
        # PINs are in the order of their sends. Lifetimes may differ, so a long one only delays the dropping of others.
        def oldest() -> Pin:
            return next(iter(self._pins.values()))

        while self._pins and (len(self._pins) >= KEPT_PINS or oldest().expires_at + KEPT_AFTER_EXPIRY < self.now()):
            self._pins.popitem(last=False)

    def _next_version(self) -> int:
        self._version += 1
        return self._version


def _destination(to: str, channel: Channel) -> str:
    if channel is Channel.EMAIL:
        if not re.fullmatch(r"[^@\s]{1,64}@[^@\s]{1,255}", to):
            raise bad_request(to="must be an e-mail address")
        return to
    digits = without_plus(to)
    if not re.fullmatch("[0-9]{4,15}", digits):
        raise bad_request(to="must be a phone number in international format")
    return digits
