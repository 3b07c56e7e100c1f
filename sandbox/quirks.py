"""What the sandbox does where Infobip's documents are silent or disagree: all of it, in this one place.

Can be switched, by environment variable (SANDBOX_ and the name of the field below):

    created_status         create application: 201 by the contract and in real traffic; the official SDKs know only 200
    unknown_pin_status     a pinId that nobody knows: 404 by the contract; real traffic of version 1 had 400
    updates                what a PUT leaves out stays as it is (merge), or falls back to its default (replace)
    older_pins             a new PIN for a number leaves its older ones valid, or ends them (void)
    resend_restarts        a resend gives the PIN its whole life again
    used_pin_error         a used PIN, where one use is allowed: verified false with this pinError
    last_attempt_error     the last wrong attempt: WRONG_PIN with 0 remaining, or NO_MORE_PIN_ATTEMPTS at once
    throttled_costs        a verify that the verify limit refused costs an attempt
    timestamps             verifiedAt and sentAt: in seconds as in the examples, or in milliseconds as in the text
    missing_times          verifiedAt of what is not verified, sentAt of what was not sent: 0 (zero), as documents of
                           version 1 have it, and the community's Python SDK reads no answer without them; or absent
    text_without_pin       a messageText without {{pin}} is taken: the community's Go SDK created one in a live test
                           ("... is {pin}", status 200); or refused (400): the contract wants "at minimum" a {{pin}}
    resend_counts          a resend counts as a send. Off: the official Go SDK's live test has four messages sent to one
                           number under the default limit of three a day, two of them resends
    false_filters          verifications?verified=...&sent=false: a false is no filter (unset), for the community's Go
                           SDK cannot leave one out, and its live test with two of them finds what was sent; or it is
                           one (applied). Alone, or with sent=true, it always is
    missing_msisdn         verifications without msisdn: those of every number (all), as the contract's example of an
                           answer has two, and no 400 is declared; or refused (400), for the contract requires it

Always so:

    limits                 slide; a refused request does not count; 429 TOO_MANY_REQUESTS without Retry-After
    durations, limits      no zero, no blanks, lower case; every period at most a year (verifyPinLimit: a day)
    pinAttempts            at least 1; they are the PIN's, shared by all its resends
    pinLength              1 to 16, 4 if not given
    PINs                   upper case, compared as they are; right: attemptsRemaining 0; expired: TTL_EXPIRED
    messageText            each {{pin}} is filled; a placeholder that is not filled stays as it is
    an application that is not enabled            400, also for a resend; verify goes on
    unknown application, template of another one  404; template of the wrong channel 400
    resend                 the same PIN and pinId; SMS and voice also instead of each other;
                           404 once the PIN has been verified, has expired or has no attempts left
    to                     4 to 15 digits with or without +, answered without; an e-mail address has one @
    ncNeeded=false         no ncStatus in the answer, and the SMS goes out whatever the number
    not reachable          NC_DESTINATION_NOT_REACHABLE; by voice callStatus UNDELIVERABLE_NOT_DELIVERED
    msisdn of an e-mail PIN                       the e-mail address
    e-mails                one subject and one text for every emailTemplateId; from no-reply@infobip.example if not said
    verifications          one a PIN, oldest first; none is an empty list; `sent` false is what was not reachable
    delivery reports       of an SMS or a call with trackDelivery that was accepted, to DELIVERY_REPORTS_URL in place of
                           a subscription, half a second after it; one a request, in no order, final ones alone,
                           at most 1000 under way
    who does not take one  with a 2xx within 5 seconds is asked again by Infobip's cycle, 1 min + 1 min * n * n, counted
                           from 0 to 4 and with a second for a minute: after 1, 2, 5, 10 and 17 s, then no more
    JSON only              whatever Content-Type says; no XML; at most 1 MiB; a text may be as long as it likes

Whatever a published SDK sends is taken:

    in a query             true, 1, yes, on and their opposites, capitals or not (Python: True); undefined, null, None
                           and nothing are absent (npm: ncNeeded=undefined); ncNeeded also with a call
    in a body              null is absent (Python: every member); [] is an empty object (PHP), also as the whole body of
                           a resend, as are null and no body; a number is its text: pin, to, ids, placeholders
    languages              pt-br and PT_BR are pt_br (the community's SDKs write them with a dash)
    paths                  a slash too many, at the end (npm: /pin/?ncNeeded=...) or at the beginning, does not matter
    Authorization          the scheme in any case (RFC 9110, 11.1)
"""

from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict


class Choices(BaseSettings):
    """See above. The defaults are what is likeliest at Infobip."""

    model_config = SettingsConfigDict(env_prefix="SANDBOX_", env_ignore_empty=True, frozen=True)

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
