"""Recipient: a phone number or an e-mail address, parsed once from what people type."""

from typing import Literal, NamedTuple

from otp.channels import Member

# Some phones have two numbers. By the beginning of the other number, in E.164: the beginning of the canonical one.
# Argentina: mobiles and landlines share one numbering plan of ten digits. Calls to a mobile from abroad need a 9 before
# these digits, SMS do not. The canonical number has the 9: the national form (15) becomes it, and calls need it.
# Palestine: both country codes reach the networks with 56 and 59, and no other network has these prefixes.
_CANONICAL = {"+541": "+5491", "+542": "+5492", "+543": "+5493", "+97256": "+97056", "+97259": "+97059"}
_COUNTRIES = ("+54", "+972")

_GMAIL = ("gmail.com", "googlemail.com")


def other_prefixes(prefix: str) -> list[str]:
    """The prefixes under which some of the numbers that begin with `prefix` are counted instead: +97056 for +972."""
    return [own for other, own in _CANONICAL.items() if other.startswith(prefix) and not own.startswith(prefix)]


class Recipient(NamedTuple):
    """A phone, whose `address` is in E.164, or an e-mail address, whose domain is in lower case.

    `region` is the phone's ISO 3166 region, or 001 if its number is of no country. E-mail addresses have none.
    """

    kind: Literal["phone", "email"]
    address: str
    region: str = ""

    @property
    def canonical(self) -> str:
        """One spelling for all addresses of one person, by which PINs, cooldowns and limits are kept.

        On e-mail servers without tags, strangers may have the same one. They share the cooldown, the limits and the
        places of PINs, but neither can verify the PIN of the other: see `identity`.
        """
        return _mailbox(self.address) if self.kind == "email" else _phone_line(self.address)

    @property
    def identity(self) -> str:
        """What a PIN that was sent to the address proves.

        It is canonical if that certainly is the same person. With e-mail only Gmail is certain: on another server,
        jo+x@example.com may be a stranger to jo@example.com, and could take over that account by a proof of it.
        """
        is_certain = self.kind == "phone" or self.address.rpartition("@")[2] in _GMAIL
        return self.canonical if is_certain else self.address

    @property
    def country(self) -> str:
        """The region, for logs and metrics; "none" for an e-mail address."""
        return self.region or "none"

    @property
    def member(self) -> Member:
        """The member of a request's body that has it."""
        return "email" if self.kind == "email" else "phoneNumber"

    @classmethod
    def at(cls, address: str) -> "Recipient":
        """The recipient with this phone number (E.164) or e-mail address; its region is not looked up."""
        return cls("email" if "@" in address else "phone", address)


def _phone_line(phone: str) -> str:
    """One spelling of a phone's number."""
    if not phone.startswith(_COUNTRIES):  # cheap for most numbers
        return phone
    found = (own + phone[len(other) :] for other, own in _CANONICAL.items() if phone.startswith(other))
    return next(found, phone)


def _mailbox(address: str) -> str:
    """One spelling of a mailbox: in lower case, without a tag after a plus, and without the dots that Gmail ignores.

    See https://support.google.com/mail/answer/7436150.
    """
    local, _, domain = address.lower().rpartition("@")
    local = local.partition("+")[0] or local  # the name of a mailbox is not empty
    if domain in _GMAIL:
        local, domain = local.replace(".", "") or local, _GMAIL[0]
    return f"{local}@{domain}"
