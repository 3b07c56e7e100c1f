"""Reads what the environment, `.env` and files of secrets set, and says where they do not set what they seem to.

`.env` has three readers that do not agree: this one, with python-dotenv's grammar; Docker Compose for `env_file`; and
`docker run --env-file`, which takes everything behind the = literally.
"""

import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from dotenv.parser import parse_stream
from dotenv.variables import parse_variables

ENV_FILE = ".env"  # in the current directory

_BRACES = re.compile(r"\$\{([^}:]*)(:-)?[^}]*\}")
_REPLACED = re.compile(r"\$[A-Za-z_$]")  # by Compose, unless in single quotes
# Compose keeps both \ of \\ in single quotes, and the \ of \' in double ones, where \0 begins a number.
_OTHERWISE = re.compile(r"""'.*\\\\|"([^\\]|\\[^'0])*\\['0]""", re.DOTALL)
_IN_QUOTES = re.compile(r"""\s*('(?:\\'|[^'])*'|"(?:\\"|[^"])*")""")
_QUOTED = re.compile("""(['"]).*\\1|.*\\s#.*|\\s.*|.*[ \\t]""", re.DOTALL)


class Line(NamedTuple):
    """A line of `.env`; `written` is its value with the quotes, and `value` the value without them.

    `name` is "" where the line cannot be read; `value` and `written` are None where it has no =.
    """

    number: int
    name: str
    written: str | None
    value: str | None

    @property
    def where(self) -> str:
        """How a sentence about the line begins."""
        return f"{ENV_FILE}, line {self.number}"


def read_lines() -> list[Line]:
    """The lines of `.env` that set something or cannot be read; an empty list without the file.

    Raises:
        OSError, UnicodeError: the file cannot be read.
    """
    file = Path(ENV_FILE)
    text = file.read_text(encoding="utf-8-sig") if file.is_file() or file.is_fifo() else ""
    return [_line(*each) for each in parse_stream(io.StringIO(text)) if each.error or each.key]


def _line(key: str | None, value: str | None, original: tuple[str, int], error: bool) -> Line:
    blank = len(original[0]) - len(original[0].lstrip())  # the blank lines above are in it, too
    number = original[1] + original[0][:blank].count("\n")
    quoted = _IN_QUOTES.match(original[0].partition("=")[2])
    return Line(number, "" if error else str(key), quoted[1] if quoted and not error else value, value)


def values(found: Iterable[Line], environment: Mapping[str, str], secrets: Iterable[str]) -> dict[str, str | Path]:
    """The values that are not empty, by names in lower case. The environment overrides `.env`.

    A secret X that is not set may be in a file that `X_FILE` names, as Docker and Kubernetes provide secrets: a Path.
    """
    given, named = dict[str, str](), dict[str, str]()
    for source in (_file_values(found, environment), environment):
        filled = {name: value for name, value in source.items() if value}
        given |= filled
        named |= {name.lower(): value for name, value in filled.items()}
    files = {name: Path(given[key]) for name in secrets if (key := f"{name.upper()}_FILE") in given}
    return {**files, **named}


def _file_values(found: Iterable[Line], environment: Mapping[str, str]) -> dict[str, str]:
    """The values of `.env`; `${X}` in them is the value of a line above or, without such a line, of a variable."""
    known, in_file = {**environment}, dict[str, str]()
    for line in found:
        value = "".join(atom.resolve(known) for atom in parse_variables(line.value or ""))
        known[line.name] = in_file[line.name] = value
    return in_file


def refusals(found: Iterable[Line], is_read: Callable[[str], bool], environment: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each line that sets nothing, or something else than it says. The sentences quote no value.

    Args:
        is_read: whether a name is the name of a setting.
        environment: the variables that `${X}` may name, in addition to the lines above.
    """
    given = {*environment}
    for line in found:
        braces = _BRACES.findall(line.written or "")
        if not line.name:
            yield f"{line.where}: cannot be read; are the quotation marks in pairs, and is there a ="
        elif is_read(line.name) and any(not default and name not in given for name, default in braces):
            yield (
                f"{line.name}: {line.where} has ${{...}} with a variable that is not set; "
                "put a secret that contains ${ into a file"
            )
        given.add(line.name)


def remarks(found: Iterable[Line], is_read: Callable[[str], bool]) -> Iterator[str]:
    """A sentence for each setting that the other readers read differently. The sentences quote no value."""
    times = Counter(line.name for line in found)
    for line in filter(lambda line: is_read(line.name), found):
        if unlike := _unlike(line.written):
            yield f"{line.where}: {line.name} {unlike}"
        if times.pop(line.name, 1) > 1:
            yield f"{line.where}: {line.name} is there more than once. The last one counts."


def _unlike(written: str | None) -> str:
    """How other readers read it; "" if they agree."""
    if written is None:
        return "has no = and is not set."
    if written.startswith("#"):
        return "begins with #, which others take for a comment. Put it in quotes."
    if _REPLACED.search(written) and not written.startswith("'"):
        return "has a $, and Docker Compose replaces what follows. Put it in single quotes."
    if written.startswith("'") and _BRACES.search(written):
        return "has ${...} in single quotes, and Docker Compose leaves it as it is. Take the quotes off."
    if _OTHERWISE.match(written):
        return "has a \\ in quotes that Docker Compose reads otherwise. Take the quotes off, or make it a file."
    return ""


def kept_quotes(environment: Mapping[str, str], is_read: Callable[[str], bool]) -> Iterator[str]:
    """A sentence for each setting in the environment that has quotes or a comment, which nobody removes there."""
    for name, value in environment.items():
        if is_read(name) and "\n" not in value and _QUOTED.fullmatch(value):
            yield (
                f"{name} in the environment has quotes, a comment or blanks at its ends, which are a part of it: "
                "docker run --env-file takes nothing off."
            )
