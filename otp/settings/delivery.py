"""Whether Infobip reports what became of messages."""

import re

from pydantic import SecretStr, ValidationInfo, field_validator

from otp.setting_types import OptionalSecret
from otp.settings.section import Section

_SECRET = re.compile("[A-Za-z0-9._~-]{16,256}")


class DeliverySettings(Section):
    """Whether it is asked to, and the secret by which its reports are known."""

    delivery_reports_secret: OptionalSecret = SecretStr("")
    track_delivery: bool = False

    @field_validator("delivery_reports_secret")
    @classmethod
    def _fits_a_path(cls, secret: SecretStr) -> SecretStr:
        text = secret.get_secret_value()
        if text and not _SECRET.fullmatch(text):
            raise ValueError("must be 16 to 256 letters, digits, dots, dashes, underscores or tildes")
        return secret

    @field_validator("track_delivery")
    @classmethod
    def _with_a_secret(cls, track: bool, info: ValidationInfo) -> bool:
        if track and info.data.get("delivery_reports_secret") == SecretStr(""):
            raise ValueError("needs DELIVERY_REPORTS_SECRET, by which Infobip's reports are known")
        return track
