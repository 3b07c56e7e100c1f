"""What a verify asks of the client, and what it shows."""

from otp.settings.section import Section


class VerifyingSettings(Section):
    """Who may guess, and what an onlooker learns from a refusal."""

    require_verification_id: bool = False
    uniform_verify_time: bool = False
