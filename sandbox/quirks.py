"""What the sandbox does where Infobip's documents are silent or contradict each other.

Switches, by environment variable (SANDBOX_ and the name of the field below):

    created_status         create application: 201 by the contract and in real traffic; the official SDKs know only 200
    unknown_pin_status     a pinId that nobody knows: 404 by the contract; real traffic of version 1 had 400
    updates                fields that a PUT omits keep their values (merge), or get their defaults (replace)
    older_pins             the older PINs of a number stay valid after a new one, or are voided (void)
    resend_restarts        a resend restarts the lifetime of the PIN
    used_pin_error         a used PIN, where one use is allowed: verified false with this pinError
    last_attempt_error     the last wrong attempt: WRONG_PIN with 0 remaining, or NO_MORE_PIN_ATTEMPTS at once
    throttled_costs        a verify that the verify limit refuses counts as an attempt
    timestamps             verifiedAt and sentAt: in seconds as in the examples, or in milliseconds as in the text
    missing_times          verifiedAt of an unverified PIN, sentAt of an unsent one: 0 (zero), as in the documents of
                           version 1, and the community's Python SDK cannot read responses without them; or absent
    text_without_pin       a messageText without {{pin}} is accepted (taken): the community's Go SDK created one in a
                           live test ("... is {pin}", status 200); or refused (400): the contract requires a {{pin}}
    resend_counts          a resend counts as a send. Off by default: the live test of the official Go SDK sends four
                           messages to one number under the default limit of three a day, two of them resends
    false_filters          verifications?verified=...&sent=false: false does not filter (unset), because the
                           community's Go SDK cannot omit it, and its live test with two of them finds PINs that were
                           sent; or it filters (applied). Alone, or with sent=true, it always filters
    missing_msisdn         verifications without msisdn: those of all numbers (all), because the contract's example of
                           a response has two, and declares no 400; or refused (400), because the contract requires it

Fixed behaviour:

    limits                 slide; a refused request does not count; 429 TOO_MANY_REQUESTS without Retry-After
    durations, limits      no zero, no spaces, lower case; every period at most a year (verifyPinLimit: a day)
    pinAttempts            at least 1; all resends of a PIN share them
    pinLength              1 to 16, 4 by default
    PINs                   upper case, compared exactly; right: attemptsRemaining 0; expired: TTL_EXPIRED
    messageText            each {{pin}} is filled; placeholders without a value stay
    an application that is not enabled            400, also for a resend; verify still works
    unknown application, or no such template there 404; template of another channel 400
    resend                 the same PIN and pinId; SMS and voice can replace each other;
                           404 if the PIN was verified, has expired or has no attempts left
    to                     4 to 15 digits with or without +, without it in responses; an e-mail address has one @
    ncNeeded=false         no ncStatus in the response, and the SMS is always sent
    not reachable          NC_DESTINATION_NOT_REACHABLE; by voice callStatus UNDELIVERABLE_NOT_DELIVERED
    msisdn of an e-mail PIN                       the e-mail address
    e-mails                the same subject and text for all emailTemplateIds; from no-reply@infobip.example by default
    verifications          one for each PIN, oldest first, perhaps an empty list; `sent` false: not reachable
    delivery reports       for accepted SMS and calls with trackDelivery, half a second after the send, to
                           DELIVERY_REPORTS_URL instead of a subscription; one per request, in any order, only final
                           ones, at most 1000 pending
    subscriptions          kept, with their profiles, and nothing is posted by them; omitted fields keep their values
    retries of a report    without a 2xx in 5 seconds, at Infobip's intervals of 1 min + 1 min * n * n for n from 0
                           to 4, with a second for a minute: after 1, 2, 5, 10 and 17 s, then no more
    JSON only              whatever Content-Type says; no XML; at most 1 MiB; texts have no maximum length

Requests of published SDKs are accepted:

    in a query             true, 1, yes, on and their opposites, in any case (Python: True); undefined, null, None and
                           an empty value mean absent (npm: ncNeeded=undefined); ncNeeded also with a call
    in a body              null means absent (Python: every member); [] is an empty object (PHP), also as the whole body
                           of a resend, as are null and no body; numbers are converted: pin, to, ids, placeholders
    languages              pt-br and PT_BR are pt_br (the community's SDKs write them with a dash)
    paths                  superfluous slashes at the end (npm: /pin/?ncNeeded=...) or at the beginning do not matter
    Authorization          the scheme in any case (RFC 9110, 11.1)
"""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict


class Quirks(BaseModel):
    """The switches above. The defaults are the most likely behaviour of Infobip."""

    model_config = ConfigDict(frozen=True)

    created_status: Literal["201", "200"] = "201"
    unknown_pin_status: Literal["404", "400"] = "404"
    updates: Literal["merge", "replace"] = "merge"
    older_pins: Literal["valid", "void"] = "valid"
    resend_restarts: bool = False
    used_pin_error: Literal["NO_MORE_PIN_ATTEMPTS", "WRONG_PIN", "TTL_EXPIRED"] = "NO_MORE_PIN_ATTEMPTS"
    last_attempt_error: Literal["WRONG_PIN", "NO_MORE_PIN_ATTEMPTS"] = "WRONG_PIN"
    throttled_costs: bool = False
    timestamps: Literal["seconds", "milliseconds"] = "seconds"
    missing_times: Literal["zero", "absent"] = "zero"
    text_without_pin: Literal["taken", "refused"] = "taken"
    resend_counts: bool = False
    false_filters: Literal["unset", "applied"] = "unset"
    missing_msisdn: Literal["all", "refused"] = "all"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read SANDBOX_CREATED_STATUS and so on. Raises ValueError if a value is wrong."""
        given = {name: environment.get(f"SANDBOX_{name.upper()}") for name in cls.model_fields}
        return cls.model_validate({name: value for name, value in given.items() if value})
