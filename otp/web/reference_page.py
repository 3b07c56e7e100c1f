"""The published contract: `/openapi.json` for programs, and Swagger UI at `/docs` for people.

`openapi.yaml` is the source of both. The page loads nothing from other hosts and cannot be framed.
"""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import flask_swagger_ui
import yaml
from flask import Flask, Response, abort, send_from_directory

CONTRACT = Path(__file__).parents[2] / "openapi.yaml"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# libyaml, where the package has it, takes 19 ms for the contract in place of 123: a third of a start's own work.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Read once, in gunicorn's master: the workers share it.
_JSON = json.dumps(yaml.load(CONTRACT.read_text(encoding="utf-8"), _LOADER), separators=(",", ":"))
_OURS = Path(__file__).parent / "reference"
_SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
_FILES = {
    "page.js": _OURS,
    "swagger-ui-bundle.js": _SWAGGER_UI,
    "swagger-ui.css": _SWAGGER_UI,
    "favicon-32x32.png": _SWAGGER_UI,
}


def add_docs(app: Flask, *, page: bool) -> None:
    """Have `app` serve the contract, and the page if `page` is true."""
    app.add_url_rule("/openapi.json", "contract", lambda: Response(_JSON, mimetype="application/json"))
    if page:
        app.add_url_rule("/docs", "docs", lambda: _file(_OURS, "page.html"))
        app.add_url_rule("/docs/<file>", "docs_file", lambda file: _file(_FILES.get(file) or abort(404), file))


def _file(directory: Path, name: str) -> Response:
    response = send_from_directory(directory, name)
    if response.status_code == HTTPStatus.PRECONDITION_FAILED:  # Werkzeug would send the file with the 412
        response.close()
        abort(HTTPStatus.PRECONDITION_FAILED)
    response.headers["Content-Security-Policy"] = POLICY
    return response
