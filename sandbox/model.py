"""The resources of Infobip's 2FA API as JSON: applications, templates and the bodies of requests.

Names, types and defaults are those of the published contract (2FA API, version 2). Other values raise pydantic's
ValidationError, which the API turns into a 400 with `validationErrors`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from sandbox.grammar import DAY, YEAR, Limit, seconds

PinType = Literal["NUMERIC", "ALPHA", "HEX", "ALPHANUMERIC"]
LANGUAGES = "en|es|ca|da|nl|fr|de|it|ja|ko|no|pl|ru|sv|fi|hr|sl|ro|pt_pt|pt_br|zh_cn|zh_tw"


class Channel(StrEnum):
    """A way to deliver a PIN."""

    SMS = "SMS"
    VOICE = "VOICE"
    EMAIL = "EMAIL"


def _duration(longest: float) -> AfterValidator:
    return AfterValidator(lambda text: (seconds(text, longest), text)[1])


def _limit(longest: float) -> AfterValidator:
    return AfterValidator(lambda text: (Limit.parse(text, longest), text)[1])


def _object(given: Any) -> Any:
    """Treat `null` members as absent and `[]` as an empty object: some clients serialize missing values like this."""
    if given == []:
        return {}
    return {name: value for name, value in given.items() if value is not None} if isinstance(given, dict) else given


def _language(given: Any) -> Any:
    return given.lower().replace("-", "_") if isinstance(given, str) else given


def _placeholders(given: dict[str, str]) -> dict[str, str]:
    if any(name == "pin" or "{" in name or "}" in name for name in given):
        raise ValueError("names must not be pin and must not contain curly brackets")
    return given


Placeholders = Annotated[dict[str, str], BeforeValidator(_object), AfterValidator(_placeholders)]
Language = Annotated[str, BeforeValidator(_language), Field(pattern=f"^({LANGUAGES})$")]
Text = Annotated[str, Field(min_length=1)]


class Wire(BaseModel):
    """camelCase in JSON, snake_case here. Unknown members are ignored; "true", "5" and 5 are converted."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        return _object(given)

    def to_json(self) -> dict[str, Any]:
        """The members in JSON, without those that are not set."""
        return self.model_dump(by_alias=True, exclude_none=True)

    def explicit_values(self) -> dict[str, Any]:
        """The values that the request has, by attribute, without defaults."""
        return {name: value for name in self.model_fields_set if (value := getattr(self, name)) is not None}

    def copy_with(self, new: Mapping[str, Any]) -> Self:
        """A copy with `new` values, which are validated already."""
        return self.model_copy(update=dict(new))


class Configuration(Wire):
    """ApplicationConfiguration, with Infobip's defaults, which are not safe."""

    pin_attempts: int = Field(10, ge=1, lt=2**31)
    allow_multiple_pin_verifications: bool = True
    pin_time_to_live: Annotated[str, _duration(YEAR)] = "15m"
    verify_pin_limit: Annotated[str, _limit(DAY)] = "1/3s"
    send_pin_per_application_limit: Annotated[str, _limit(YEAR)] = "10000/1d"
    send_pin_per_phone_number_limit: Annotated[str, _limit(YEAR)] = "3/1d"


class ApplicationRequest(Wire):
    """The body that creates or updates an application."""

    name: Text
    enabled: bool = True
    configuration: Configuration = Configuration()


class Application(ApplicationRequest):
    """ApplicationResponse."""

    application_id: str


class IndiaDlt(Wire):
    """IndiaDltOptions."""

    principal_entity_id: Annotated[str, Field(max_length=30)]
    content_template_id: Annotated[str, Field(max_length=30)] | None = None
    tele_marketer_id: Annotated[str, Field(max_length=255)] | None = None


class Regional(Wire):
    """RegionalOptions."""

    india_dlt: IndiaDlt | None = None


class TemplateUpdate(Wire):
    """UpdateSmsOrVoiceMessageRequest: omitted fields keep their values."""

    message_text: Text | None = None
    pin_type: PinType | None = None
    pin_length: int = Field(4, ge=1, le=16)
    sender_id: str | None = None
    language: Language | None = None
    voice_name: str | None = None
    repeat_dtmf: str | None = Field(None, alias="repeatDTMF")
    speech_rate: float | None = Field(None, ge=0.5, le=2)
    regional: Regional | None = None


class TemplateRequest(TemplateUpdate):
    """CreateSmsOrVoiceMessageRequest."""

    message_text: Text
    pin_type: PinType


class EmailTemplateUpdate(Wire):
    """UpdateEmailMessageRequest."""

    email_template_id: int | None = None
    from_: str | None = Field(None, alias="from")
    landing_page_id: str | None = None
    pin_type: PinType = "NUMERIC"
    pin_length: int = Field(4, ge=1, le=16)


class EmailTemplateRequest(EmailTemplateUpdate):
    """CreateEmailMessageRequest."""

    email_template_id: int


class Template(TemplateRequest):
    """SmsOrVoiceMessage: the text, which contains {{pin}}, and the format of its PINs."""

    message_id: str
    application_id: str
    pin_placeholder: str = "{{pin}}"
    channels: frozenset[Channel] = Field(frozenset({Channel.SMS, Channel.VOICE}), exclude=True)

    @property
    def sender(self) -> str:
        """The sender, unless a request has another one."""
        return self.sender_id or "InfoSMS"


class EmailTemplate(EmailTemplateRequest):
    """EmailMessage. Its subject and text are in a Broadcast template at Infobip, which the sandbox lacks."""

    message_id: str
    application_id: str
    message_text: str = Field("Your PIN is {{pin}}", exclude=True)
    channels: frozenset[Channel] = Field(frozenset({Channel.EMAIL}), exclude=True)

    @property
    def sender(self) -> str:
        """The sender, unless a request has another one."""
        return self.from_ or "no-reply@infobip.example"


class ResendRequest(Wire):
    """ResendPinRequest and ResendPinRequestViaEmail."""

    placeholders: Placeholders = {}
    landing_page_placeholders: Placeholders = {}
    track_delivery: bool = False


class SendRequest(ResendRequest):
    """StartAuthenticationRequest and StartEmailAuthenticationRequest."""

    application_id: Text
    message_id: Text
    to: Text
    from_: str | None = Field(None, alias="from")


class VerifyRequest(Wire):
    """VerifyPinRequest."""

    pin: str
