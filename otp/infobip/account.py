"""The account at Infobip: its 2FA applications and their message templates, by the management operations.

They take an API key with the scope 2fa:manage. What is read may lack anything and have anything else: a field that
cannot be understood is None. Every operation raises an AccountError where it gets nothing that can be used.
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
PAUSE = 60.0  # seconds, where Infobip throttles without saying for how long
_GIVEN = {"application_id", "message_id", "pin_placeholder"}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)

    @field_validator("*", mode="wrap")
    @classmethod
    def _lenient(cls, value: Any, validate: Validator, info: ValidationInfo) -> Any:
        try:
            return validate(value)
        except ValidationError:
            return cls.model_fields[str(info.field_name)].default

    def payload(self) -> dict[str, Any]:
        """What is known of it, as Infobip takes it: without what only Infobip gives."""
        return self.model_dump(by_alias=True, exclude_none=True, exclude=_GIVEN)


class Configuration(_Part):
    """ApplicationConfiguration; `notation` reads its durations and limits."""

    pin_attempts: int | None = None
    allow_multiple_pin_verifications: bool | None = None
    pin_time_to_live: str | None = None
    verify_pin_limit: str | None = None
    send_pin_per_application_limit: str | None = None
    send_pin_per_phone_number_limit: str | None = None


class Application(_Part):
    """ApplicationRequest and ApplicationResponse."""

    application_id: Identifier | None = None
    name: str | None = None
    enabled: bool | None = None
    configuration: Configuration = Configuration()


class Template(_Part):
    """Message, and the requests that make and change one. An email template has no `message_text`."""

    message_id: Identifier | None = None
    message_text: str | None = None
    pin_placeholder: str | None = None
    pin_length: int | None = None
    pin_type: str | None = None
    sender_id: str | None = None
    # Not ours: read so that an update can leave them as they are.
    language: str | None = None
    voice_name: str | None = None
    repeat_dtmf: str | None = Field(None, alias="repeatDTMF")
    speech_rate: float | None = None
    regional: dict[str, Any] | None = None


class _Applications(RootModel[list[Application]]):
    pass


class _Templates(RootModel[list[Template]]):
    pass


_M = TypeVar("_M", bound=BaseModel)
_P = TypeVar("_P", bound=_Part)


class Account:
    """The applications and templates of whoever has the API key."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def applications(self) -> list[Application]:
        """All of them (get-2fa-applications)."""
        return self._ask(_Applications, "GET", APPLICATIONS).root

    def application(self, application_id: str) -> Application:
        """One of them (get-2fa-application)."""
        return self._ask(Application, "GET", f"{APPLICATIONS}/{application_id}")

    def save_application(self, wanted: Application) -> Application:
        """Make it, or change the one that has its id (create-, update-2fa-application); returns what Infobip has."""
        return self._save(wanted, APPLICATIONS, wanted.application_id)

    def templates(self, application_id: str) -> list[Template]:
        """All those of an application (get-2fa-message-templates)."""
        return self._ask(_Templates, "GET", _templates(application_id)).root

    def save_template(self, application_id: str, wanted: Template) -> Template:
        """Make it, or change the one that has its id (create-, update-2fa-message-template)."""
        return self._save(wanted, _templates(application_id), wanted.message_id)

    def _save(self, wanted: _P, path: str, its_id: str | None) -> _P:
        if its_id is None:
            return self._ask(type(wanted), "POST", path, wanted.payload())
        return self._ask(type(wanted), "PUT", f"{path}/{its_id}", wanted.payload())

    def _ask(self, kind: type[_M], method: str, path: str, payload: dict[str, Any] | None = None) -> _M:
        with _account_errors():
            response = self._transport.request(method, path, payload, attempts=1 if payload else 2)
            # Creating an application answers 201 by the contract; there are servers that answer 200.
            if response.status not in (200, 201):
                raise _refusal(response)
            return parse_response(kind, response)


def _templates(application_id: str) -> str:
    return f"{APPLICATIONS}/{application_id}/messages"


def _refusal(response: Response) -> Exception:
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
    """What Infobip has against the fields of a request, as far as it can be shown on one line."""
    try:
        fields = json.loads(response.body)["requestError"]["serviceException"]["validationErrors"]
        said = "; ".join(f"{field} {' and '.join(reasons)}" for field, reasons in fields.items())
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
    return "".join(each for each in said if each.isprintable())[:300]


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
