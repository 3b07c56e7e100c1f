"""The lines of `.env`, and what their readers do not agree on.

They are python-dotenv here, Docker Compose for `env_file`, and `docker run --env-file`, which takes everything behind
the = as it stands.
"""

import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from dotenv.parser import parse_stream

_BRACES = re.compile(r"\$\{([^}:]*)(:-)?[^}]*\}")
_REPLACED = re.compile(r"\$[A-Za-z_$]")  # by Compose, unless in single quotes
# A \\ in single quotes, which Compose keeps twice; \' in double ones, where it keeps the \, and \0, a number's to it.
_OTHERWISE = re.compile(r"""'.*\\\\|"([^\\]|\\[^'0])*\\['0]""", re.DOTALL)
_IN_QUOTES = re.compile(r"""\s*('(?:\\'|[^'])*'|"(?:\\"|[^"])*")""")
_QUOTED = re.compile("""(['"]).*\\1|.*\\s#.*|\\s.*|.*[ \\t]""", re.DOTALL)


class Line(NamedTuple):
    """One setting in `.env`: the `number` of its line, and its value as it is `written`, with its quotes.

    `name` is "" for a line that cannot be read, and `written` None for one without a =.
    """

    number: int
    name: str
    written: str | None

    @property
    def where(self) -> str:
        """For the begin of a sentence."""
        return f".env, line {self.number}"


def lines(text: str) -> list[Line]:
    """Read `text` as python-dotenv does, without the lines that set nothing."""
    return [_line(*each) for each in parse_stream(io.StringIO(text)) if each.error or each.key]


def _line(key: str | None, value: str | None, original: tuple[str, int], error: bool) -> Line:
    blank = len(original[0]) - len(original[0].lstrip())  # the lines above are a part of it
    number = original[1] + original[0][:blank].count("\n")
    quoted = _IN_QUOTES.match(original[0].partition("=")[2])
    return Line(number, "" if error else str(key), quoted[1] if quoted and not error else value)


def refusals(found: Iterable[Line], is_read: Callable[[str], bool], environment: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each line that would set something else than it says, or nothing. Shows no value.

    Args:
        is_read: whether a name is that of a setting.
        environment: what `${X}` may stand for, besides what is in the lines above.
    """
    given = {*environment}
    for line in found:
        braces = _BRACES.findall(line.written or "")
        if not line.name:
            yield f"{line.where}: cannot be read; are the quotation marks in pairs, and is there a ="
        elif is_read(line.name) and any(not default and name not in given for name, default in braces):
            yield (
                f"{line.name}: {line.where} has ${{...}}, which stands for a variable, and there is none of this name; "
                "a secret with ${ in it is best a file"
            )
        given.add(line.name)


def remarks(found: Iterable[Line], is_read: Callable[[str], bool]) -> Iterator[str]:
    """A sentence for each line that is read, and by others otherwise. Shows no value."""
    times = Counter(line.name for line in found)
    for line in filter(lambda line: is_read(line.name), found):
        if unlike := _unlike(line.written):
            yield f"{line.where}: {line.name} {unlike}"
        if times.pop(line.name, 1) > 1:
            yield f"{line.where}: {line.name} is there more than once. The last one counts."


def _unlike(written: str | None) -> str:
    """How others read it; "" for just so."""
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
    """A sentence for each setting in the environment that looks as if quotes or a comment were to be taken off."""
    for name, value in environment.items():
        if is_read(name) and "\n" not in value and _QUOTED.fullmatch(value):
            yield (
                f"{name} in the environment has quotes, a comment or blanks at its ends, which are a part of it: "
                "docker run --env-file takes nothing off."
            )
