"""One person is one recipient, however the phone number or the e-mail address is spelled."""

from collections.abc import Callable

import pytest
import redis

from otp.proofs import new_signing_key
from otp.recipients import Recipient
from sandbox.server import EMAIL_MESSAGE_ID
from tests.support.command import eventually
from tests.support.running import Sandbox, Service, refusal

Start = Callable[..., Service]
TOO_MANY = (429, "too_many_requests")
SIGNING = {"PROOF_SIGNING_KEY": new_signing_key(), "INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID}

# The first of each row is the canonical spelling.
MAILBOXES = [
    ["victim@gmail.com", "victim+1@gmail.com", "v.ic.tim@gmail.com", "Victim+a+b@Gmail.com", "vic.tim@googlemail.com"],
    ["jo.lee@example.com", "Jo.Lee@example.com", "jo.lee+shop@example.com", "JO.LEE+a.b@EXAMPLE.com"],
    ["jolee@example.com", "jolee+x@example.com"],
    ["victim@gmail.com.example.com", "victim+1@gmail.com.example.com"],
    ["+x@example.com"],
    ["+y+z@example.com"],
    ["+x@gmail.com"],
]  # fmt: skip
LINES = [
    ["+5491123456789", "+541123456789"],
    ["+5493512345678", "+543512345678"],
    ["+5492201234567", "+542201234567"],
    ["+970599123456", "+972599123456"],
    ["+970568123456", "+972568123456"],
    ["+97022345678"],
    ["+97222345678"],
    ["+972501234567"],
    ["+548001234567"],
    ["+525512345678"],
    ["+4915112345678"],
]


@pytest.mark.parametrize("spellings", [*MAILBOXES, *LINES], ids=lambda spellings: spellings[0])
def test_all_spellings_are_one_recipient_and_no_other(spellings: list[str]) -> None:
    canonical, *_ = spellings
    assert {Recipient.at(one).canonical for one in spellings} == {canonical}
    firsts = [first for first, *_ in [*MAILBOXES, *LINES]]
    assert [Recipient.at(first).canonical for first in firsts].count(canonical) == 1


@pytest.mark.parametrize(
    ("address", "identity"),
    [
        ("Vic.Tim+1@googlemail.com", "victim@gmail.com"),
        ("Jo.Lee+shop@example.com", "Jo.Lee+shop@example.com"),
        ("jo.lee@example.com", "jo.lee@example.com"),
        ("+541123456789", "+5491123456789"),
        ("+5491123456789", "+5491123456789"),
        ("+972599123456", "+970599123456"),
        ("+4915112345678", "+4915112345678"),
    ],
)
def test_a_proof_has_another_spelling_only_if_it_is_certainly_the_same_person(address: str, identity: str) -> None:
    assert Recipient.at(address).identity == identity


@pytest.fixture
def signing(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with every channel and proofs, and without limits per address."""
    return start(sandbox.url, **SIGNING)


def recipient_member(recipient: str) -> dict[str, str]:
    return {"email" if "@" in recipient else "phoneNumber": recipient}


@pytest.mark.parametrize(
    "spellings",
    [
        ["victim@gmail.com", "victim+1@gmail.com", "vic.tim@gmail.com", "victim@googlemail.com"],
        ["victim@example.com", "victim+1@example.com", "Victim+2@example.com"],
        ["+5491123456789", "+541123456789", "+54 (0)11 2345-6789"],
        ["+541123456789", "+5491123456789"],
        ["+970599123456", "+972599123456"],
    ],
    ids=lambda spellings: spellings[0],
)
def test_other_spellings_bring_no_more_messages(
    start: Start, database: redis.Redis, sandbox: Sandbox, spellings: list[str]
) -> None:
    service = start(sandbox.url, PHONE_SEND_LIMIT="1 per day", **SIGNING)
    first, *others = spellings
    assert service.post("/send-otp", recipient_member(first)).status_code == 200
    during = [service.post("/send-otp", recipient_member(other)) for other in others]
    database.delete(*database.keys("*:cooldown"))
    after = [service.post("/send-otp", recipient_member(other)) for other in others]
    assert {refusal(answer) for answer in during + after} == {TOO_MANY}
    assert {int(answer.headers["Retry-After"]) > 3600 for answer in during} == {False}, "the cooldown"
    assert {int(answer.headers["Retry-After"]) > 3600 for answer in after} == {True}, "the recipient's limit"
    assert len(sandbox.messages) == 1


@pytest.mark.parametrize(
    ("sent_to", "arrives_at", "typed", "identity"),
    [
        ("Vic.Tim+1@GoogleMail.com", "Vic.Tim+1@googlemail.com", "victim@gmail.com", "victim@gmail.com"),
        ("jo+shop@example.com", "jo+shop@example.com", "Jo+shop@example.com", None),
        ("+541123456789", "541123456789", "+5491123456789", "+5491123456789"),
        ("+5491123456789", "5491123456789", "+54 11 2345-6789", "+5491123456789"),
        ("+972599123456", "972599123456", "+970599123456", "+970599123456"),
    ],
)
def test_the_message_goes_to_the_typed_spelling_and_any_spelling_verifies(
    signing: Service, sandbox: Sandbox, sent_to: str, arrives_at: str, typed: str, identity: str | None
) -> None:
    assert signing.post("/send-otp", recipient_member(sent_to)).status_code == 200
    (message,) = sandbox.messages
    assert message.pin.to == arrives_at
    verified = signing.post("/verify-otp", {**recipient_member(typed), "pin": message.pin.value})
    assert verified.status_code == 200
    redeemed = signing.post("/proofs/redeem", {"proof": verified.json()["proof"]}).json()
    assert identity is None or identity in redeemed.values()


@pytest.mark.parametrize(
    ("sent_to", "typed"), [("jo+x@example.com", "jo@example.com"), ("jo@example.com", "jo+x@example.com")]
)
def test_a_pin_does_not_verify_the_mailbox_of_another_person(
    signing: Service, sandbox: Sandbox, sent_to: str, typed: str
) -> None:
    """If the provider does not treat +x as a tag, they are two people, although they share their limits."""
    own = signing.post("/send-otp", recipient_member(sent_to)).json()["verificationId"]
    (message,) = sandbox.messages
    for given in ({}, {"verificationId": own}):
        guess = {**recipient_member(typed), **given, "pin": message.pin.value}
        assert refusal(signing.post("/verify-otp", guess)) == (401, "invalid_otp")
    assert sandbox.verifies() == 0
    assert signing.post("/verify-otp", {**recipient_member(sent_to), "pin": message.pin.value}).status_code == 200


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("jo@example.com", "jo+x@example.com", False),
        ("jo+x@example.com", "jo@example.com", False),
        ("vic.tim@gmail.com", "victim+1@gmail.com", True),
    ],
)
def test_a_send_repeats_a_pin_only_for_the_same_mailbox(
    start: Start, database: redis.Redis, sandbox: Sandbox, first: str, second: str, is_one: bool
) -> None:
    """Two spellings may be two people: a message for one must not go to the other, even if they share limits."""
    service = start(sandbox.url, SEND_AGAIN="same", **SIGNING)
    own = service.post("/send-otp", recipient_member(first)).json()["verificationId"]
    for given in ({}, {"verificationId": own}):
        database.delete(*database.keys("*:cooldown"))
        assert service.post("/send-otp", {**recipient_member(second), **given}).status_code == 200
        assert sandbox.messages[-1].pin.to == (first if is_one else second)


def test_the_national_form_is_the_same_recipient(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    service = start(sandbox.url, DEFAULT_REGION="AR")
    assert service.send("011 15-2345-6789").status_code == 200
    assert refusal(service.send("11 2345-6789")) == TOO_MANY
    assert service.verify("+541123456789", sandbox.pin("+5491123456789")).status_code == 200


@pytest.mark.parametrize(
    "number",
    ["+5215512345678", "+551181234567", "+22507123456", "+22990011234", "+23771234567", "+5712345678"],
    ids=["Mexico", "Brazil", "Ivory Coast", "Benin", "Cameroon", "Colombia"],
)
def test_the_old_form_of_a_number_is_refused(service: Service, number: str) -> None:
    """So a number has one spelling: without Mexico's 1, and with the digits that other countries have since added."""
    assert refusal(service.send(number)) == (400, "invalid_phone_number")


def test_the_guard_counts_a_verify_in_any_spelling(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    service = start(sandbox.url, FRAUD_GUARD="block")
    spelled = {"+541123456789": "+5491123456789", "+972599123456": "+970599123456", "+970568123456": "+972568123456"}
    for sent_to, typed in spelled.items():
        assert service.send(sent_to).status_code == 200
        assert service.verify(typed, sandbox.pin(sent_to)).status_code == 200
    # The count of an address is deleted once all its sends are verified; those of a country stay, counted as verified.
    eventually(lambda: not database.keys("otp:guard:address:*") and not database.keys("otp:guard:pending:*"))
    for region in ("AR", "IL", "PS"):
        _, sent, verified, _ = str(database.hget(f"otp:guard:country:{region}", "minutes")).split(",")
        assert (int(sent), int(verified)) == (1, 1), region
