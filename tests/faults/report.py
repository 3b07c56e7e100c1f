"""Writes the results of a soak as a table, and puts that table into a document."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.checker import RULES, Finding
from tests.faults.journal import Event

BEGIN, END = "<!-- the last soak -->", "<!-- end of the last soak -->"


def table(events: Iterable[Event], findings: Iterable[Finding], done: Mapping[str, int]) -> str:
    """Return a table in Markdown.

    Without a finding in N tries, the rate is below 3/N at 95 % confidence (the rule of three).
    """
    tries, found = _tries([*events]), Counter(finding.rule for finding in findings)
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, commit {_commit()}: "
        + ", ".join(f"{n:,} {what}" for what, n in done.items())
        + ".",
        "",
        "| | in | found | 95 % bound |",
        "|---|---|---|---|",
    ]
    for rule in RULES:
        amount, of = tries[rule]
        lines.append(f"| {rule} | {amount:,} {of} | {found[rule]} | {_bound(found[rule], amount)} |")
    amount, unanswered = tries["500"][0], tries["no answer"][0]
    lines.append(f"| no answer: the worker was killed | {amount:,} requests | {unanswered} | |")
    return "\n".join(lines)


def _tries(events: list[Event]) -> dict[str, tuple[int, str]]:
    requests = Counter(event.verb for event in events if event.kind == "asked")
    refused = sum((event.status, event.code) == (401, "invalid_otp") for event in events if event.kind == "answered")
    statuses = Counter(event.status for event in events if event.kind == "answered")
    issued = sum(bool(event.pin_id) for event in events if event.kind == "replied")
    guesses = [event.pin_id for event in events if event.kind == "received" and event.verb == "verify"]
    phones = len({event.phone for event in events if event.kind == "received" and event.verb == "send"})
    return {
        "duplicate SMS": (requests["send"] + requests["resend"], "sends and resends"),
        "confirmed without an SMS": (requests["send"] + requests["resend"], "sends and resends"),
        "double success": (issued, "PINs"),
        "stale success": (requests["verify"], "verifies"),
        "wrong client": (requests["verify"], "verifies"),
        "wrong id": (requests["verify"], "verifies"),
        "stray guess": (len(guesses), "guesses"),
        "excess guess": (len({*guesses}), "PINs guessed at"),
        "excess failures": (phones, "phones"),
        "right PIN refused": (refused, "refusals"),
        "SMS above a limit": (phones, "phones"),
        "500": (requests.total(), "requests"),
        "no answer": (statuses[0], ""),
    }


def _bound(found: int, tries: int) -> str:
    return "" if found or not tries else f"{3 / tries:.1e}"


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def write(text: str, path: Path) -> None:
    """Put `text` between the two marks in `path`, instead of the old text; at the end, if there are no marks."""
    whole = path.read_text() if path.exists() else "# Reliability\n"
    marked = f"{BEGIN}\n\n{text}\n\n{END}"
    place = re.compile(f"{BEGIN}.*{END}", re.DOTALL)
    path.write_text(place.sub(lambda _: marked, whole) if place.search(whole) else f"{whole}\n{marked}\n")
