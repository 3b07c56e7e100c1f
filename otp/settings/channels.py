"""How messages may go, what they may say, and what sending again means."""

import re
from typing import Annotated, Literal

from pydantic import field_validator
from pydantic_settings import NoDecode

from otp.channels import CHANNELS
from otp.setting_types import ByCommas
from otp.settings.section import Section

_PLACEHOLDER = re.compile("[A-Za-z][A-Za-z0-9_]{0,31}")


class ChannelSettings(Section):
    """Of channels, an empty set allows every one that has a template; of placeholders, none."""

    allowed_channels: Annotated[frozenset[str], NoDecode, ByCommas] = frozenset()
    send_again: Literal["new", "same"] = "new"
    allowed_placeholders: Annotated[frozenset[str], NoDecode, ByCommas] = frozenset()

    @field_validator("allowed_channels")
    @classmethod
    def _are_channels(cls, names: frozenset[str]) -> frozenset[str]:
        if not names <= CHANNELS.keys():
            raise ValueError(f"must be of {', '.join(CHANNELS)}, separated by commas")
        return names

    @field_validator("allowed_placeholders")
    @classmethod
    def _are_names(cls, names: frozenset[str]) -> frozenset[str]:
        if not all(_PLACEHOLDER.fullmatch(name) and name != "pin" for name in names):
            raise ValueError("must be names like firstName, separated by commas; pin is Infobip's")
        return names
