"""E-mail addresses: from what people type to the one form that is kept and sent to."""

from email_validator import EmailNotValidError, validate_email

from otp.errors import InvalidEmail

LONGEST = 254  # bytes; RFC 5321, and erratum 1690 of RFC 3696


def read_email(raw: str) -> str:
    """Return `raw` with its domain in lower case and in ASCII (IDNA 2008); no DNS is asked.

    Raises:
        InvalidEmail: it is none, or one with a display name, a quoted or international local part, or an address
            literal, of a name that is reserved (RFC 6761), with braces, or too long.
    """
    # Braces in a key's name tell a Redis Cluster where it lives.
    if len(raw.encode(errors="replace")) > LONGEST or set(raw) & set("{}"):
        raise InvalidEmail
    try:
        address = validate_email(raw, check_deliverability=False, allow_smtputf8=False, strict=True).ascii_email
    except EmailNotValidError as e:
        raise InvalidEmail from e
    if address is None or len(address) > LONGEST:
        raise InvalidEmail
    return address
