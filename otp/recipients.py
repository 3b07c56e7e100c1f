"""Whom a message reaches, read once from what people type."""

from typing import Literal, NamedTuple

from otp.channels import Member

# Of phones that have two numbers: how each begins, in E.164, and the one that is kept.
# Argentina: mobiles and landlines share one plan of ten digits. To call a mobile from abroad, a 9 goes before these; to
# text it, none has to. The 9 is kept: the national form (15) becomes it, and without it a mobile cannot be called.
# Palestine: the networks with 56 and 59 are reached by both country codes, and no other network has these.
_KEPT = {"+541": "+5491", "+542": "+5492", "+543": "+5493", "+97256": "+97056", "+97259": "+97059"}
_COUNTRIES = ("+54", "+972")

_GMAIL = ("gmail.com", "googlemail.com")


class Recipient(NamedTuple):
    """A phone, with its `address` in E.164, or an e-mail address.

    `region` is the phone's ISO 3166 region, also where several share a calling code; "" for what has none, and None
    where nobody has looked.
    """

    kind: Literal["phone", "email"]
    address: str
    region: str | None = None

    @property
    def canonical(self) -> str:
        """One spelling for all addresses of one person: PINs, cooldowns and limits are kept by it.

        Strangers at servers that know no tags may share it, and with it the cooldown, the limits and the places of
        PINs; but neither verifies what was sent to the other: see `identity`.
        """
        return _mailbox(self.address) if self.kind == "email" else _line(self.address)

    @property
    def identity(self) -> str:
        """Who has been proven to be there by a PIN that was sent to the address.

        Canonical where that certainly is the same person. With e-mail that is so at Gmail alone: on another server,
        jo+x@example.com may be a stranger to jo@example.com, and take over that account with a proof of it.
        """
        local, _, domain = self.address.rpartition("@")
        if self.kind == "phone" or domain.lower() in _GMAIL:
            return self.canonical
        return f"{local}@{domain.lower()}"

    @property
    def member(self) -> Member:
        """Its member in a request's body."""
        return "email" if self.kind == "email" else "phoneNumber"

    @classmethod
    def at(cls, address: str) -> "Recipient":
        """The one with this phone (E.164) or e-mail address."""
        return cls("email" if "@" in address else "phone", address)


def _line(phone: str) -> str:
    """One spelling of a phone's number."""
    if not phone.startswith(_COUNTRIES):  # all that most numbers cost
        return phone
    kept = (kept + phone[len(other) :] for other, kept in _KEPT.items() if phone.startswith(other))
    return next(kept, phone)


def _mailbox(address: str) -> str:
    """One spelling of a mailbox: without a tag behind a plus, and without the dots that Gmail does not look at.

    See https://support.google.com/mail/answer/7436150.
    """
    local, _, domain = address.lower().rpartition("@")
    local = local.partition("+")[0] or local  # a mailbox has a name
    if domain in _GMAIL:
        local, domain = local.replace(".", "") or local, _GMAIL[0]
    return f"{local}@{domain}"
