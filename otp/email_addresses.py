"""Parses e-mail addresses."""

from email_validator import EmailNotValidError, validate_email

from otp.errors import InvalidEmail
from otp.recipients import Recipient

LONGEST = 254  # bytes; RFC 5321, and erratum 1690 of RFC 3696


def read_email(raw: str) -> Recipient:
    """The recipient with the address `raw`, its domain in lower case and in ASCII (IDNA 2008). There is no DNS lookup.

    Raises:
        InvalidEmail: it is not an address; or it has a display name, a quoted or international local part, an address
            literal, a reserved domain (RFC 6761) or braces; or it is too long.
    """
    # Braces in a key choose its slot in a Redis Cluster.
    if len(raw.encode(errors="replace")) > LONGEST or set(raw) & set("{}"):
        raise InvalidEmail
    try:
        address = validate_email(raw, check_deliverability=False, allow_smtputf8=False, strict=True).ascii_email
    except EmailNotValidError as e:
        raise InvalidEmail from e
    if address is None or len(address) > LONGEST:
        raise InvalidEmail
    return Recipient("email", address)
