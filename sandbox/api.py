"""The 18 operations of Infobip's 2FA API over HTTP, each named after its operationId in the published contract.

Of the Subscriptions API, those that `flask infobip` needs.
"""

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from flask import Flask, Response, jsonify, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from sandbox import faults, hosts, json_responses, test_numbers
from sandbox.api_error import ApiError, bad_request, invalid
from sandbox.applications import Applications
from sandbox.authorization import authorize
from sandbox.grammar import flag
from sandbox.json_responses import Json
from sandbox.model import (
    ApplicationRequest,
    Channel,
    EmailTemplateRequest,
    EmailTemplateUpdate,
    ResendRequest,
    SendRequest,
    TemplateRequest,
    TemplateUpdate,
    VerifyRequest,
    Wire,
)
from sandbox.pins import SendResult
from sandbox.quirks import Quirks
from sandbox.report_poster import ReportPoster
from sandbox.subscription_store import PROFILES, Profile, ProfileUpdate, Subscription, SubscriptionUpdate
from sandbox.two_factor import TwoFactor

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MAX_BODY = 1024 * 1024

_W = TypeVar("_W", bound=Wire)


class Api:
    """The views of the operations."""

    def __init__(self, two_factor: TwoFactor, report_poster: ReportPoster) -> None:
        self._two_factor = two_factor
        self._report_poster = report_poster

    @property
    def _applications(self) -> Applications:
        return self._two_factor.applications

    @property
    def _quirks(self) -> Quirks:
        return self._two_factor.quirks

    def get_2fa_applications(self) -> Response:
        return jsonify([application.to_json() for application in self._applications.all()])

    def create_2fa_application(self) -> tuple[Json, int]:
        return self._applications.create(_read(ApplicationRequest)).to_json(), int(self._quirks.created_status)

    def get_2fa_application(self, app_id: str) -> Json:
        return self._applications.get(app_id).to_json()

    def update_2fa_application(self, app_id: str) -> Json:
        return self._applications.update(app_id, _read(ApplicationRequest)).to_json()

    def get_2fa_message_templates(self, app_id: str) -> Response:
        return jsonify([template.to_json() for template in self._applications.templates(app_id)])

    def create_2fa_message_template(self, app_id: str) -> Json:
        return self._applications.create_template(app_id, _read(TemplateRequest)).to_json()

    def get_2fa_message_template(self, app_id: str, msg_id: str) -> Json:
        return self._applications.template(app_id, msg_id).to_json()

    def update_2fa_message_template(self, app_id: str, msg_id: str) -> Json:
        return self._applications.update_template(app_id, msg_id, _read(TemplateUpdate)).to_json()

    def create_2fa_email_message_template(self, app_id: str) -> Json:
        return self._applications.create_template(app_id, _read(EmailTemplateRequest)).to_json()

    def update_2fa_email_message_template(self, app_id: str, msg_id: str) -> Json:
        return self._applications.update_template(app_id, msg_id, _read(EmailTemplateUpdate)).to_json()

    def get_2fa_verification_status(self, app_id: str) -> Json:
        msisdn = request.args.get("msisdn", "").strip()
        if not msisdn and self._quirks.missing_msisdn == "refused":
            raise bad_request()  # the contract has no validationErrors for a GET
        verified, sent = self._filters()
        pins = self._two_factor.verifications(app_id, msisdn)
        chosen = (p for p in pins if verified in (None, p.verified_at is not None) and sent in (None, p.reached))
        return {"verifications": [json_responses.verification(pin, self._quirks) for pin in chosen]}

    def _filters(self) -> tuple[bool | None, bool | None]:
        """The filters `verified` and `sent` of verifications; None selects both."""
        verified, sent = _flag("verified"), _flag("sent")
        if self._quirks.false_filters == "unset" and verified is not None and sent is False:
            return verified or None, None
        return verified, sent

    def send(self, channel: Channel) -> faults.Answer:
        """Operations send-2fa-pin-code-over-sms, -voice and -email."""
        body, look_up = _read(SendRequest), _flag("ncNeeded") is not False
        send = partial(self._two_factor.send, body, channel, look_up=look_up)
        return self._respond(body.to, send, track=body.track_delivery)

    def resend(self, pin_id: str, channel: Channel) -> faults.Answer:
        """Operations resend-2fa-pin-code-over-sms, -voice and -email. Their body is optional."""
        body = _read(ResendRequest, optional=True)
        resend = partial(self._two_factor.resend, pin_id, body, channel)
        return self._respond(self._two_factor.pin(pin_id).to, resend, track=body.track_delivery)

    def _respond(self, to: str, send: Callable[[], SendResult], *, track: bool) -> faults.Answer:
        def act() -> Json:
            result = send()
            response = json_responses.send_response(result, track=track)
            if "externalMessageId" in response:
                self._report_poster.post_later(result.message)
            return response

        return faults.respond(test_numbers.fault(to, "send"), act)

    def verify_2fa_phone_number(self, pin_id: str) -> faults.Answer:
        body = _read(VerifyRequest)
        fault = test_numbers.fault(self._two_factor.pin(pin_id).to, "verify")
        return faults.respond(fault, lambda: json_responses.verify_response(self._two_factor.verify(pin_id, body.pin)))

    def get_profiles(self, shelf: str = PROFILES) -> Json:
        """Operations get-profiles and get-subscriptions: one page with all, at most 100."""
        listed = [each.to_json() for each in self._two_factor.subscriptions.all(shelf)]
        paging = {"page": 0, "size": 100, "totalPages": 1, "totalResults": len(listed)}
        return {"results": listed, "paging": paging}

    def create_profile(self) -> tuple[Json, int]:
        profile = _read(Profile)
        self._two_factor.subscriptions.create(PROFILES, profile.profile_id, profile)
        return {"profileId": profile.profile_id}, 201

    def update_profile(self, its_id: str) -> Json:
        self._two_factor.subscriptions.update(PROFILES, its_id, _read(ProfileUpdate))
        return {"profileId": its_id}

    def create_subscription(self, shelf: str) -> tuple[Json, int]:
        subscription = _read(Subscription)
        self._two_factor.subscriptions.create(shelf, subscription.subscription_id, subscription)
        return {"subscriptionId": subscription.subscription_id, "profile": subscription.profile.to_json()}, 201

    def update_subscription(self, shelf: str, its_id: str) -> Json:
        self._two_factor.subscriptions.update(shelf, its_id, _read(SubscriptionUpdate))
        return {"subscriptionId": its_id}


def create_api(two_factor: TwoFactor, report_poster: ReportPoster, names: frozenset[str] = frozenset()) -> Flask:
    """The API over `two_factor`. `names`: host names that it answers to in addition to localhost."""
    app, api = Flask(__name__, static_folder=None), Api(two_factor, report_poster)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.wsgi_app = _normalize_paths(app.wsgi_app)  # type: ignore[method-assign,assignment]
    app.before_request(lambda: hosts.check(request.headers.get("Host", ""), names))
    app.before_request(_authorize)
    app.register_error_handler(ApiError, _error_response)
    app.register_error_handler(HTTPException, _http_error_response)
    _add_routes(app, api)
    return app


def _add_routes(app: Flask, api: Api) -> None:
    applications, application = "/2fa/2/applications", "/2fa/2/applications/<app_id>"
    app.get(applications)(api.get_2fa_applications)
    app.post(applications)(api.create_2fa_application)
    app.get(application)(api.get_2fa_application)
    app.put(application)(api.update_2fa_application)
    app.get(f"{application}/messages")(api.get_2fa_message_templates)
    app.post(f"{application}/messages")(api.create_2fa_message_template)
    app.get(f"{application}/messages/<msg_id>")(api.get_2fa_message_template)
    app.put(f"{application}/messages/<msg_id>")(api.update_2fa_message_template)
    app.post(f"{application}/email/messages")(api.create_2fa_email_message_template)
    app.put(f"{application}/email/messages/<msg_id>")(api.update_2fa_email_message_template)
    app.get(f"{application}/verifications")(api.get_2fa_verification_status)
    app.post("/2fa/2/pin/<pin_id>/verify")(api.verify_2fa_phone_number)
    profiles, subscriptions = (
        f"/subscriptions/1/{PROFILES}",
        "/subscriptions/1/subscription/<any(SMS,VOICE_VIDEO):shelf>",
    )
    app.get(profiles)(api.get_profiles)
    app.post(profiles)(api.create_profile)
    app.put(f"{profiles}/<its_id>")(api.update_profile)
    app.get(subscriptions, endpoint="get_subscriptions")(api.get_profiles)
    app.post(subscriptions)(api.create_subscription)
    app.put(f"{subscriptions}/<its_id>")(api.update_subscription)
    for channel, path in ((Channel.SMS, ""), (Channel.VOICE, "/voice"), (Channel.EMAIL, "/email")):
        app.post(f"/2fa/2/pin{path}", endpoint=f"send{path}")(partial(api.send, channel=channel))
        app.post(f"/2fa/2/pin/<pin_id>/resend{path}", endpoint=f"resend{path}")(partial(api.resend, channel=channel))


def _normalize_paths(app: "WSGIApplication") -> "WSGIApplication":
    """Wrap `app` so that superfluous slashes in a path do not matter."""

    def normalize(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ["PATH_INFO"] = re.sub("/+", "/", environ["PATH_INFO"]).rstrip("/") or "/"
        return app(environ, start_response)

    return normalize


def _authorize() -> None:
    """Check the API key of API requests. The inbox is open: it stands for the phones."""
    if request.path.startswith(("/2fa/", "/subscriptions/")):
        authorize(request.headers.get("Authorization", ""), _scope(request.path))


def _scope(path: str) -> str:
    """The scope that an operation needs; "" for those that each key may use."""
    if path.startswith("/subscriptions/"):
        return "subscriptions:manage"
    return "2fa:manage" if path.startswith("/2fa/2/applications") and not path.endswith("/verifications") else ""


def _read(model: type[_W], *, optional: bool = False) -> _W:
    content = request.get_data()
    if optional and content.strip() in (b"", b"null"):
        content = b"{}"
    try:
        return model.model_validate_json(content, by_alias=True, by_name=False)
    except ValidationError as e:
        raise invalid(e) from e


def _flag(name: str) -> bool | None:
    try:
        return flag(request.args.get(name, ""))
    except ValueError as e:
        raise bad_request() from e


def _error_response(error: ApiError) -> Response:
    response: Response = jsonify(error.body)
    response.status_code = error.status
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _http_error_response(error: HTTPException) -> Response:
    return _error_response(ApiError(error.code or 500, error.name.upper().replace(" ", "_"), error.name))
