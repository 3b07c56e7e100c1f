"""The account at Infobip: its 2FA applications and their message templates, by the management operations.

The operations need an API key with the scope 2fa:manage. Responses may lack fields and have unknown ones: a field that
cannot be read is None. Every operation raises an AccountError if the response cannot be used.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError, ValidationInfo, field_validator
from pydantic import ValidatorFunctionWrapHandler as Validator
from pydantic.alias_generators import to_camel

from otp import errors
from otp.infobip import account_errors
from otp.infobip.responses import NOT_FOUND, error_code, error_for, parse_response
from otp.infobip.transport import Response, Transport
from otp.setting_types import Identifier

log = logging.getLogger("otp.infobip")

APPLICATIONS = "/2fa/2/applications"
PAUSE = 60.0  # seconds, if Infobip throttles without a Retry-After
_ASSIGNED = {"application_id", "message_id", "pin_placeholder"}


class Part(BaseModel):
    """A resource of the account. A field that cannot be read has its default."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)

    @field_validator("*", mode="wrap")
    @classmethod
    def _default_if_unreadable(cls, value: Any, validate: Validator, info: ValidationInfo) -> Any:
        try:
            return validate(value)
        except ValidationError:
            return cls.model_fields[str(info.field_name)].default

    def payload(self) -> dict[str, Any]:
        """The body of a request that creates or updates it, without the fields that Infobip assigns."""
        return self.model_dump(by_alias=True, exclude_none=True, exclude=_ASSIGNED)


class Configuration(Part):
    """ApplicationConfiguration; `otp.durations` reads its durations and limits."""

    pin_attempts: int | None = None
    allow_multiple_pin_verifications: bool | None = None
    pin_time_to_live: str | None = None
    verify_pin_limit: str | None = None
    send_pin_per_application_limit: str | None = None
    send_pin_per_phone_number_limit: str | None = None


class Application(Part):
    """ApplicationRequest and ApplicationResponse."""

    application_id: Identifier | None = None
    name: str | None = None
    enabled: bool | None = None
    configuration: Configuration = Configuration()


class Template(Part):
    """Message, and the requests that create and update one. An email template has no `message_text`."""

    message_id: Identifier | None = None
    message_text: str | None = None
    pin_placeholder: str | None = None
    pin_length: int | None = None
    pin_type: str | None = None
    sender_id: str | None = None
    # The service does not use these: they are read so that an update keeps them.
    language: str | None = None
    voice_name: str | None = None
    repeat_dtmf: str | None = Field(None, alias="repeatDTMF")
    speech_rate: float | None = None
    regional: dict[str, Any] | None = None
    # Only templates of e-mails have these.
    email_template_id: int | None = None
    from_: str | None = Field(None, alias="from")
    landing_page_id: str | None = None


class _Applications(RootModel[list[Application]]):
    pass


class _Templates(RootModel[list[Template]]):
    pass


_M = TypeVar("_M", bound=BaseModel)
_P = TypeVar("_P", bound=Part)


class Account:
    """The applications and templates of the account that the API key belongs to."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def applications(self) -> list[Application]:
        """All applications (get-2fa-applications)."""
        return self.request(_Applications, "GET", APPLICATIONS).root

    def application(self, application_id: str) -> Application:
        """One application (get-2fa-application)."""
        return self.request(Application, "GET", f"{APPLICATIONS}/{application_id}")

    def save_application(self, application: Application) -> Application:
        """Create it, or update the one with its id (create-, update-2fa-application); returns what Infobip then has."""
        return self._save(application, APPLICATIONS, application.application_id)

    def templates(self, application_id: str) -> list[Template]:
        """All templates of an application (get-2fa-message-templates)."""
        return self.request(_Templates, "GET", _templates(application_id)).root

    def save_template(self, application_id: str, template: Template) -> Template:
        """Create it, or update the one with its id (create-, update-2fa-message-template, or those for e-mails)."""
        path = _templates(application_id, "email/messages" if template.email_template_id else "messages")
        return self._save(template, path, template.message_id)

    def _save(self, part: _P, path: str, its_id: str | None) -> _P:
        if its_id is None:
            return self.request(type(part), "POST", path, part.payload())
        return self.request(type(part), "PUT", f"{path}/{its_id}", part.payload())

    def request(self, model: type[_M], method: str, path: str, payload: dict[str, Any] | None = None) -> _M:
        """Read or change something, and return the response as `model`."""
        with _account_errors():
            response = self._transport.request(method, path, payload, attempts=1 if payload else 2)
            # The contract has 201 for a created application; some servers answer 200.
            if response.status not in (200, 201):
                raise _error_for(response)
            return parse_response(model, response)


def _templates(application_id: str, kind: str = "messages") -> str:
    return f"{APPLICATIONS}/{application_id}/{kind}"


def _error_for(response: Response) -> Exception:
    if response.status == 401:
        return account_errors.ApiKeyRefused()
    if response.status == 403:
        return account_errors.ApiKeyNotAllowed()
    if response.status == 404 and error_code(response) in NOT_FOUND:
        return account_errors.NotInAccount()
    if reasons := _reasons(response):
        log.error("Infobip's reasons: %s", reasons)
    return error_for(response, PAUSE)


def _reasons(response: Response) -> str:
    """What is wrong with the fields of a request by Infobip's `validationErrors`, as one line for the log."""
    try:
        fields = json.loads(response.body)["requestError"]["serviceException"]["validationErrors"]
        text = "; ".join(f"{field} {' and '.join(reasons)}" for field, reasons in fields.items())
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
    return "".join(each for each in text if each.isprintable())[:300]


@contextmanager
def _account_errors() -> Iterator[None]:
    try:
        yield
    except errors.TooManyRequests as e:
        raise account_errors.AccountThrottled from e
    except (errors.ServiceUnavailable, errors.ProviderTimeout) as e:
        raise account_errors.AccountUnreachable from e
    except errors.OtpError as e:
        raise account_errors.AccountError from e
