"""Flask without the features that this service does not use: sessions, hosts, redirects, coroutines, static files.

Each of them costs every request CPU, used or not: together as much as the routes and views (measured).
"""

import json
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, Request, Response
from flask.json.provider import DefaultJSONProvider
from flask.sessions import NullSession, SessionInterface
from flask.typing import ResponseReturnValue
from werkzeug.routing import MapAdapter

from otp import request_record

_encode = json.JSONEncoder(separators=(",", ":")).encode
_NO_SESSION = NullSession()


class JsonResponse(Response):
    """A response whose body is `members` as JSON."""

    def __init__(self, members: Any, status: int = 200) -> None:
        super().__init__(f"{_encode(members)}\n".encode(), status, content_type="application/json")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer the request. Content-Length is set already, and nothing must be closed afterwards."""
        start_response(self.status, self.headers.to_wsgi_list())
        return () if environ["REQUEST_METHOD"] == "HEAD" else (self.get_data(),)


class Application(Flask):
    """The Flask application. Its `g` is the record of the current request."""

    app_ctx_globals_class = staticmethod(request_record.current)  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        self.json = _Json(self)
        self.session_interface = _NoSessions()
        self.url_map.merge_slashes = False  # Flask would answer with a redirect in HTML

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Match the path alone, for any host."""
        if request is None:
            return None
        return MapAdapter(self.url_map, "localhost", "/", "", "http", request.path, request.method)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func`: no view is a coroutine, which Flask would check at each call."""
        return func

    def preprocess_request(self) -> ResponseReturnValue | None:
        """Run the hooks, if there are any."""
        return super().preprocess_request() if self.before_request_funcs else None

    def process_response(self, response: Response) -> Response:
        """Run the hooks of the application, which has no blueprints."""
        for finish in reversed(self.after_request_funcs.get(None, ())):
            response = finish(response)
        return response

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Run the hooks, if there are any."""
        if self.teardown_request_funcs:
            super().do_teardown_request(exc)

    def do_teardown_appcontext(self, exc: BaseException | None = None) -> None:
        """Run the hooks, if there are any."""
        if self.teardown_appcontext_funcs:
            super().do_teardown_appcontext(exc)


class _NoSessions(SessionInterface):
    def open_session(self, app: Flask, request: Request) -> NullSession:
        return _NO_SESSION


class _Json(DefaultJSONProvider):
    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Encode what a view returned."""
        return JsonResponse(args[0] if args else kwargs)
