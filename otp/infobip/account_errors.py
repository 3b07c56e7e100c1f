"""Errors of the account at Infobip. Operators see them on the command line; the service never responds with one."""

from typing import ClassVar


class AccountError(Exception):
    """The account was not read or changed. `remedy` is what an operator can do, "" for nothing."""

    sentence: ClassVar[str] = "Infobip refused this, or gave an answer that makes no sense."
    remedy: ClassVar[str] = ""


class AccountUnreachable(AccountError):
    sentence = "Infobip cannot be reached, or does not answer in time."
    remedy = "see INFOBIP_BASE_URL, INFOBIP_PROXY, INFOBIP_CA, INFOBIP_TIMEOUT and the network"


class AccountThrottled(AccountError):
    sentence = "Infobip takes no more requests for now."
    remedy = "wait some minutes"


class ApiKeyRefused(AccountError):
    sentence = "Infobip does not accept the API key."
    remedy = "set INFOBIP_API_KEY to a key of this account that is valid now, and from this address"


class ApiKeyNotAllowed(AccountError):
    sentence = "The API key may not read or change applications."
    remedy = "give it the scope 2fa:manage, which the service itself does not need"


class SubscriptionsNotAllowed(ApiKeyNotAllowed):
    sentence = "The API key may not read or change subscriptions."
    remedy = "give it the scope subscriptions:manage, which the service itself does not need"


class NotInAccount(AccountError):
    sentence = "Infobip knows no such application or message template."
    remedy = "run flask infobip setup"
