"""Reads the JSON body of a request, which is untrusted input until it is read here."""

from io import BytesIO
from typing import TypeVar
from wsgiref.types import WSGIEnvironment

from flask import Request
from gevent import Timeout
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from werkzeug.http import parse_options_header

from otp import request_record
from otp.errors import InvalidRequest, RequestTooLarge, UnsupportedMediaType
from otp.web.strict_json import parse

JSON = "application/json"
MAX_BODY = 16 * 1024
PATIENCE = 5.0  # seconds for a whole body; the server gives a whole head as many


class Body(BaseModel):
    """A request body: camelCase members of exactly the declared types. Unknown members are ignored."""

    model_config = ConfigDict(strict=True, alias_generator=to_camel)


_B = TypeVar("_B", bound=Body)


def read_body(request: Request, model: type[_B], longest: int = MAX_BODY) -> _B:
    """Parse the JSON body of `request`, UTF-8 of at most `longest` bytes, into `model`.

    Raises:
        UnsupportedMediaType: its Content-Type is not JSON, or it is compressed.
        RequestTooLarge: it is longer, by its Content-Length or in chunks.
        InvalidRequest: it is not strict JSON (RFC 8259, unique keys, 64 levels), or not what `model` declares.
    """
    if not _is_plain_json(request.environ):
        raise UnsupportedMediaType
    try:
        return model.model_validate(parse(content(request, longest)))
    except ValueError as e:  # includes pydantic's ValidationError
        raise InvalidRequest from e


def _is_plain_json(environ: WSGIEnvironment) -> bool:
    if environ.get("HTTP_CONTENT_ENCODING", "identity") != "identity":
        return False
    given = environ.get("CONTENT_TYPE", "")
    # The usual value is compared as it is, since parsing it costs 4 us.
    return given == JSON or parse_options_header(given)[0].lower() == JSON


def content(request: Request, longest: int = MAX_BODY) -> bytes:
    """The body of `request`, read once. Raises RequestTooLarge and InvalidRequest like `read_body`."""
    known = request_record.current()
    if known.content is None:
        known.content = _read(request, longest)
    return known.content


def _read(request: Request, longest: int) -> bytes:
    # Flask's MAX_CONTENT_LENGTH would cut a chunked body off instead of refusing it.
    length = request.content_length or 0  # 0 for one in chunks
    if length > longest:
        raise RequestTooLarge
    source = request.environ["wsgi.input"]
    is_here = length > 0 and isinstance(source, BytesIO)  # the server has read it already
    received = source.read(length) if is_here else _wait_for_body(request, longest + 1)
    if len(received) > longest:
        raise RequestTooLarge
    if len(received) < length:
        raise InvalidRequest
    return bytes(received)


def _wait_for_body(request: Request, most: int) -> bytes:
    try:
        with Timeout(PATIENCE):
            return request.stream.read(most)
    except (Timeout, Exception) as e:  # broken chunks or a client that left: every server raises its own error
        raise InvalidRequest from e
