"""Every key in Redis: its content, its lifetime and its owner.

`RedisClient` puts KEY_PREFIX, `otp:` below, before each key: inside the braces of one that begins with a brace. Braces
say which slot of a Cluster has the key, so that one script may decide by several.

key                                       content                                     lifetime           owner

of one recipient, all in one slot
otp:phoneNumber:+14155552671              hash: its PINs, see pin_fields.lua          the newest PIN's   store
otp:email:jo@example.com                  the same of an e-mail address               the same           store
{otp:phoneNumber:+1...}:cooldown          id of the reservation that holds it         the cooldown       recipient_limit
{otp:phoneNumber:+1...}:sent              list: times of its sends                    longest window     recipient_limit
{otp:phoneNumber:+1...}:sent:9f86d081884c the same of the sends of one requester      longest window     recipient_limit
{otp:phoneNumber:+1...}:failures          list: wrong guesses since a right one       its limit's period store
{otp:phoneNumber:+1...}:trusted           fingerprint of the requester that verified  30 days            store
of one verification or message
otp:verification:<hash of its id>         hash: what became of the PIN                PIN, and an hour   verifications
otp:message:<its id at Infobip>           hash: which PIN and cooldown it belongs to  PIN, and an hour   sent_messages
otp:idempotency:<hash of client and key>  hash: owner, body, answer (encrypted)       24 hours           idempotency
otp:redeemed:<id of a proof>              1                                           proof, and 1 min   store
of many sends
otp:LIMITS:LIMITER/<of what>/5/15/minute  list: times of what a limit has counted     its period         windows
{otp:LIMITS:...}:given-back               list: times when it was given back          its period         windows
otp:LIMITS:LIMITER/total/10000/1/day      hash: sends by sixtieths of the period      period and more    quota
otp:spent:2026-11-23, otp:spent:2026-11   hash: spent and peak, in millionths         day or month, 1 h  budget
otp:guard:country:DE                      hash: see guard_scope_reserve.lua           14 days            fraud_guard
otp:guard:prefix:+4915112345              the same                                    1 hour             fraud_guard
otp:guard:address:192.0.2.1               hash: see guard_address_reserve.lua         1 day              fraud_guard
otp:guard:pending:+14155552671            list: sends that nobody has verified yet    the newest PIN's   fraud_guard
of the operator
otp:guard:operator                        hash: see operator_rule_set.lua             the longest rule   operator_rules
otp:counts:<minute since 1970>            hash: how often alarming things happened    7 minutes          alerts.counts
otp:failed-verifies:<hour since 1970>     hash: how many, by recipient and address    2 hours            alerts.counts
otp:alert:<kind>                          1, once a worker has sent the alert         10 min or more     alerts.sender
otp:ready                                 1, written by GET /readyz                   1 minute           store
otp:permissions, {otp:permissions}        never written                                                  permissions

Times in lists are in microseconds since 1970, the newest first. Limits count by address (192.0.2.1; with the key of a
client app shop/192.0.2.1; of IPv6 {2001:db8:1}:2::/64 and the /48 around it, {2001:db8:1}::/48), or by client app.
"""

import re
from hashlib import sha256
from ipaddress import ip_address
from typing import Literal

from limits import RateLimitItem

from otp.recipients import Recipient
from otp.requester import Requester

PREFIX = "otp:"
READY = "ready"
OPERATOR_RULES = "guard:operator"
PERMISSIONS = ("permissions", "{permissions}")
_OF_ADDRESS = re.compile("LIMITS:LIMITER/(?:[a-z0-9-]+/)?(None|[0-9a-f:.{}]+)(?:/64)?/[a-z_]+/[0-9]+/[0-9]+/[a-z]+")


def pins(recipient: Recipient) -> str:
    """The recipient's PINs."""
    return f"{recipient.member}:{recipient.canonical}"


def cooldown(recipient: Recipient) -> str:
    """Exists while no other message may be sent to the recipient."""
    return f"{{{pins(recipient)}}}:cooldown"


def sends(recipient: Recipient) -> str:
    """The sends to the recipient."""
    return f"{{{pins(recipient)}}}:sent"


def sends_by(recipient: Recipient, requester: Requester) -> str:
    """Those that this requester asked for."""
    return f"{sends(recipient)}:{requester.network_fingerprint}"


def failures(recipient: Recipient) -> str:
    """The wrong guesses at the recipient's PINs."""
    return f"{{{pins(recipient)}}}:failures"


def trusted(recipient: Recipient) -> str:
    """Exists for a while after the recipient was verified."""
    return f"{{{pins(recipient)}}}:trusted"


def all_of(recipient: Recipient) -> str:
    """A pattern of all keys of the recipient except that of its PINs, for `Administration.keys`."""
    return re.sub(r"[*?^\[\]\\]", r"\\\g<0>", f"{{{pins(recipient)}}}") + ":*"


def verification_hash(verification_id: str) -> str:
    """The hash that is kept of a verification id: neither it nor the time of a comparison reveals the id."""
    return sha256(verification_id.encode()).hexdigest()[:32]


def verification(id_hash: str) -> str:
    """What became of a PIN, by the hash of its verification id."""
    return f"verification:{id_hash}"


def message(message_id: str) -> str:
    """A message, by its id at Infobip."""
    return f"message:{message_id}"


def idempotency(client: str, key: str) -> str:
    """The request with this Idempotency-Key of a client. The header's value is not in it."""
    return "idempotency:" + sha256(f"{client}\n{key}".encode()).hexdigest()


def redeemed_proof(proof_id: str) -> str:
    """Exists once the proof is used up."""
    return f"redeemed:{proof_id}"


def rate_limit(limit: RateLimitItem, *counted_by: str) -> str:
    """What `limit` has counted, by these parts of the key."""
    return f"LIMITS:{limit.key_for(*counted_by)}"


def quota(limit: RateLimitItem, kind: Literal["phone", "email"], client: str = "") -> str:
    """What a quota has counted, of messages to phones or of e-mails: that of a client app, or that of all sends."""
    name = f"client:{client}" if client else "total"
    return rate_limit(limit, name if kind == "phone" else f"{name}:email")


def counted_address(key: str) -> str | None:
    """The client address, of IPv6 the /64, by which the limit with this key counts; None for every other key."""
    match = _OF_ADDRESS.fullmatch(key)
    written = match and match[1].replace("{", "").replace("}", "")
    return str(ip_address(written)) if written and ":" in written else written


def refunds(rate_limit: str) -> str:
    """What was given back to the limit with this key. In the same slot."""
    return f"{rate_limit}:given-back" if "{" in rate_limit else f"{{{rate_limit}}}:given-back"


def budget(period: str) -> str:
    """What was spent in a day (2026-11-23) or a month (2026-11)."""
    return f"spent:{period}"


def guard_scope(kind: str, name: str) -> str:
    """What the fraud guard knows of a scope: of the kind country, prefix or address, and of a name like DE."""
    return f"guard:{kind}:{name}"


def read_guard_scope(key: str) -> tuple[str, str]:
    """The kind and the name of the scope with this key."""
    _, kind, name = key.split(":", 2)
    return kind, name


def guard_pending(phone: str) -> str:
    """The sends to a phone that nobody has verified yet."""
    return f"guard:pending:{phone}"


def counts(minute: int) -> str:
    """How often alarming things happened in this minute since 1970."""
    return f"counts:{minute}"


def failed_verifies(hour: int) -> str:
    """How many verifies failed in this hour since 1970, by the fingerprints of recipients and addresses."""
    return f"failed-verifies:{hour}"


def alert(kind: str) -> str:
    """Exists while further alerts of this kind are suppressed."""
    return f"alert:{kind}"
