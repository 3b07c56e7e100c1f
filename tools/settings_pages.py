"""`make docs`: writes .env.example and the tables of docs/settings.md, from config.py and docs/settings.toml."""

import re
import textwrap
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from functools import singledispatch
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from limits import RateLimitItem
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefinedType

from config import Settings
from otp.durations import duration
from otp.send_limits.prices import Prices
from otp.setting_types import is_duration

ROOT = Path(__file__).parent.parent
EXAMPLE, PAGE, WORDS = ROOT / ".env.example", ROOT / "docs/settings.md", ROOT / "docs/settings.toml"
BEGIN, END = "<!-- the tables, written by make docs -->\n", "<!-- end of the tables -->\n"
WIDTH = 125

_JSON = "JSON, or a file of it"
_FORMS = {
    bool: "`true` or `false`",
    SecretStr: "secret",
    RateLimitItem: "limit",
    frozenset: "list",
    Decimal: "number",
    dict: _JSON,
    Prices: _JSON,
}


class Row(NamedTuple):
    """A setting as people read it: `default` as in `.env`, `form` "" where any text will do, `meaning` in Markdown."""

    name: str
    default: str
    form: str
    meaning: str

    @classmethod
    def of(cls, name: str, words: str | dict[str, str]) -> "Row":
        """The row of what docs/settings.toml says of a setting; what it does not say comes from config.py."""
        said = {"meaning": words} if isinstance(words, str) else words
        field = Settings.model_fields.get(name.lower())
        known = {"default": default(field), "form": form(field)} if field else {"form": ""}
        return cls(name, **known | said)


class Section(NamedTuple):
    """A part of the page."""

    title: str
    text: str
    rows: list[Row]


def sections() -> list[Section]:
    """What docs/settings.toml lists, in its order."""
    listed = _words()["section"]
    return [Section(s["title"], s.get("text", ""), [Row.of(*each) for each in s["settings"].items()]) for s in listed]


def _words() -> dict[str, Any]:
    return tomllib.loads(WORDS.read_text())


def default(field: FieldInfo) -> str:
    """The default as it stands in `.env`; "" for none."""
    value = field.get_default(call_default_factory=True)
    return duration(value) if is_duration(field) else text(value)


@singledispatch
def text(value: object) -> str:
    """A value of a setting, durations aside, as it stands in `.env`."""
    return str(value)


@text.register
def _(value: SecretStr | dict | frozenset | PydanticUndefinedType | None) -> str:  # type: ignore[type-arg]
    return ""  # none of these has a default other than nothing


@text.register
def _(value: bool) -> str:
    return str(value).lower()


@text.register
def _(value: float) -> str:
    return f"{value:g}"


@text.register
def _(value: tuple) -> str:  # type: ignore[type-arg]
    return ", ".join(map(text, value))


@text.register
def _(value: RateLimitItem) -> str:
    unit = value.GRANULARITY.name
    return f"{value.amount} per {f'{value.multiples} {unit}s' if value.multiples > 1 else unit}"


def form(field: FieldInfo) -> str:
    """What a value must look like, in a few words; "" where its type does not say."""
    bounds = _bounds(field)
    if is_duration(field):
        return f"duration, {bounds}" if bounds else "duration"
    kind = _without_none(field.annotation)
    if get_origin(kind) is Literal:
        *others, last = (f"`{choice}`" for choice in get_args(kind))
        return f"{', '.join(others)} or {last}"
    return bounds or _FORMS.get(get_origin(kind) or kind, "")


def _without_none(kind: Any) -> Any:
    """The type of a setting that may be empty."""
    if get_origin(kind) in (Union, UnionType):
        (kind,) = set(get_args(kind)) - {NoneType}
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _bounds(field: FieldInfo) -> str:
    form = duration if is_duration(field) else "{:,}".format
    names = {"ge": "at least", "gt": "over", "le": "at most"}
    found = {name: form(getattr(each, name)) for each in field.metadata for name in names if hasattr(each, name)}
    if found.keys() >= {"ge", "le"}:
        return f"{found['ge']} to {found['le']}"
    return ", ".join(f"{names[name]} {bound}" for name, bound in found.items())


def page() -> str:
    """docs/settings.md with its tables written anew."""
    head, _, rest = PAGE.read_text().partition(BEGIN)
    return head + BEGIN + "".join(map(_table, sections())) + "\n" + END + rest.partition(END)[2]


def _table(section: Section) -> str:
    lines = ["", f"## {section.title}", ""]
    lines += [section.text, ""] if section.text else []
    lines += ["| setting | default | form | meaning |", "|---|---|---|---|"]
    for row in section.rows:
        shown = f"`{row.default}`" if row.default else ""
        lines.append(f"| `{row.name}` | {shown} | {row.form} | {row.meaning} |")
    return "\n".join(lines) + "\n"


def example() -> str:
    """The content of .env.example."""
    lines = list(_comment(_words()["example"]))
    for section in sections():
        lines += ["", f"# --- {section.title} ---", *_comment(section.text)]
        lines += ["#"] if section.text else []
        for row in section.rows:
            lines += _comment(f"{row.meaning} [{row.form}]" if row.form else row.meaning)
            lines.append(f"{row.name}={row.default}")
    return "\n".join(lines) + "\n"


def _comment(markdown: str) -> Iterator[str]:
    """Lines for `.env`: links as the names of their files, and code without its quotes where it is one word."""
    plain = re.sub(r"\[([^]]*)\]\((\w+\.md)[^)]*\)", r"\1 (docs/\2)", markdown)
    plain = re.sub(r"`([^`\s]+)`|\*(\w+)\*", r"\1\2", plain)
    plain = re.sub(r"`.*?`|\[.*?\]$", lambda whole: whole[0].replace(" ", "\xa0"), plain)  # stays on one line
    for paragraph in plain.strip().splitlines():
        for line in textwrap.wrap(paragraph, WIDTH - 2, break_long_words=False, break_on_hyphens=False):
            yield f"# {line}".replace("\xa0", " ")


def main() -> None:
    """Write both files."""
    PAGE.write_text(page())
    EXAMPLE.write_text(example())


if __name__ == "__main__":
    main()
