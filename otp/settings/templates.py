"""The message templates, and what phones need to fill the PIN in by themselves."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from otp.channels import CHANNELS
from otp.languages import is_locale
from otp.setting_types import IDENTIFIER, Identifier, json_or_file
from otp.settings.section import Section

_LIKE = '{"sms": {"de": "<template id>", "pt": "<template id>"}}'
_HOST = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


def _read(given: Any) -> Any:
    return json_or_file(given, _LIKE) if isinstance(given, str) else given


def _channel(name: str) -> str:
    if name not in CHANNELS:
        raise ValueError(f"knows no channel {name!r}; there are {', '.join(CHANNELS)}")
    return name


def _locale(tag: str) -> str:
    if not is_locale(tag):
        raise ValueError(f"{tag!r} is no language tag of BCP 47 like de or pt-BR")
    return tag


def _ids(of: Any) -> Any:
    if not isinstance(of, dict) or not all(
        isinstance(each, str) and re.fullmatch(IDENTIFIER, each) for each in of.values()
    ):
        raise ValueError(f"must have the id of a template for each language, like {_LIKE}")
    return of


Locale = Annotated[str, AfterValidator(_locale)]
TemplateIds = dict[Annotated[str, AfterValidator(_channel)], Annotated[dict[Locale, str], BeforeValidator(_ids)]]


class TemplateSettings(Section):
    """The default templates of channels, where a call can use that of SMS; those of other languages, by channel and
    BCP 47 tag; and the last line of SMS.
    """

    infobip_2fa_msg_id: Identifier | None = None
    infobip_2fa_voice_msg_id: Identifier | None = None
    infobip_2fa_email_msg_id: Identifier | None = None
    infobip_templates: Annotated[TemplateIds, NoDecode, BeforeValidator(_read)] = Field(default_factory=dict)
    webotp_domain: str | None = None
    android_app_hash: str | None = Field(None, validate_default=False)

    @field_validator("webotp_domain")
    @classmethod
    def _is_a_host(cls, domain: str | None) -> str | None:
        if domain is not None and not _HOST.fullmatch(domain := domain.lower()):
            raise ValueError("must be the host of a page, like example.com")
        return domain

    @field_validator("android_app_hash")
    @classmethod
    def _is_a_hash(cls, app: str | None, info: ValidationInfo) -> str | None:
        if app is not None and not re.fullmatch("[A-Za-z0-9+/]{11}", app):
            raise ValueError("must be the 11 characters that stand for an app, see examples/autofill.md")
        if app is not None and info.data.get("webotp_domain"):
            raise ValueError("cannot stand beside WEBOTP_DOMAIN: each of them wants the last line")
        return app
