"""What `make docs` writes about the settings is complete and up to date, and has the right defaults."""

from contextlib import chdir
from pathlib import Path

import pytest

from config import Settings, load_settings
from tests.support.pages import REQUIRED
from tests.support.running import ROOT
from tools import settings_pages
from tools.settings_pages import EXAMPLE, PAGE

ROWS = [row for section in settings_pages.sections() for row in section.rows]
FORMS = {row.name: row.form for row in ROWS}


def test_both_files_are_as_make_docs_writes_them() -> None:
    assert PAGE.read_text() == settings_pages.page(), "run `make docs`"
    assert EXAMPLE.read_text() == settings_pages.example(), "run `make docs`"


def test_each_setting_is_explained_once() -> None:
    """So are the variables that only Docker Compose reads, and that the service does not know."""
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names))
    settings = set(map(str.upper, Settings.model_fields))
    compose = (ROOT / "docker-compose.yml").read_text()
    others = {name for name in names if f"${{{name}:-" in compose or name.startswith("COMPOSE_")}
    assert settings <= set(names) <= settings | others


def test_the_values_in_the_example_are_the_defaults(tmp_path: Path) -> None:
    with chdir(tmp_path):
        defaults = load_settings(REQUIRED)
        Path(".env").write_text(EXAMPLE.read_text())
        copied = load_settings(REQUIRED)
    assert dict(copied) == dict(defaults)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("PIN_LENGTH", "1 to 16"),
        ("PIN_CASE", "`upper`, `lower` or `as-typed`"),
        ("TRACK_DELIVERY", "`true` or `false`"),
        ("INFOBIP_TIMEOUT", "duration, at most 1m"),
        ("GUARD_GRACE", "duration, 1m to 30m"),
        ("PHONE_SEND_SHARE", "over 0, at most 1"),
        ("SEND_OTP_LIMIT", "limit"),
        ("ALLOWED_COUNTRIES", "list"),
        ("SMS_PRICES", "JSON, or a file of it"),
        ("LOOKUP_PRICE", "number"),
        ("INFOBIP_API_KEY", "secret"),
        ("DEFAULT_REGION", ""),
    ],
)
def test_the_form_describes_what_config_py_accepts(name: str, form: str) -> None:
    assert FORMS[name] == form
