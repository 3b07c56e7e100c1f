"""Errors in Infobip's format."""

from typing import Any

from pydantic import ValidationError


class ApiError(Exception):
    """An error in Infobip's format.

    Args:
        status: the HTTP status.
        message_id, text: Infobip's error code, and its sentence.
        validation_errors: the errors by the name of the field.
        retry_after: seconds for the header Retry-After.
    """

    def __init__(
        self,
        status: int,
        message_id: str,
        text: str,
        *,
        validation_errors: dict[str, list[str]] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after = retry_after
        self._details: dict[str, Any] = {"messageId": message_id, "text": text}
        if validation_errors:
            self._details["validationErrors"] = validation_errors

    @property
    def body(self) -> dict[str, Any]:
        """The ApiException of the contract."""
        return {"requestError": {"serviceException": self._details}}


def bad_request(**validation_errors: str) -> ApiError:
    """400: the request is wrong; the reasons are by the name of the field."""
    listed = {name: [reason] for name, reason in validation_errors.items()}
    return ApiError(400, "BAD_REQUEST", "Bad request", validation_errors=listed)


def invalid(error: ValidationError) -> ApiError:
    """400: the body does not fit the contract."""
    listed: dict[str, list[str]] = {}
    for each in error.errors(include_url=False, include_input=False):
        field = ".".join(map(str, each["loc"])) or "body"
        listed.setdefault(field, []).append(each["msg"].removeprefix("Value error, "))
    return ApiError(400, "BAD_REQUEST", "Bad request", validation_errors=listed)


def not_found() -> ApiError:
    """404: no such application, template or PIN in this account."""
    return ApiError(404, "NOT_FOUND", "Requested resource not found")


def too_many_requests(retry_after: int | None = None) -> ApiError:
    """429: a limit of the application is used up."""
    return ApiError(429, "TOO_MANY_REQUESTS", "Too many requests", retry_after=retry_after)
