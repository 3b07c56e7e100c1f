"""Runs the soak in its shortest form."""

from pathlib import Path

from tests.faults.checker import RULES
from tests.faults.report import BEGIN, END, write
from tools.soak import soak


def test_a_short_soak_tries_every_rule_and_finds_nothing(tmp_path: Path) -> None:
    text, clean = soak(tmp_path, 0.006)
    assert clean, text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ") and "found" not in line]
    assert len(rows) == len(RULES) + 1
    assert all(int(row[1].split()[0].replace(",", "")) > 0 for row in rows), text
    assert {row[2] for row in rows[:-1]} == {"0"}


def test_the_table_replaces_the_last_one(tmp_path: Path) -> None:
    document = tmp_path / "reliability.md"
    write("one", document)
    assert document.read_text() == f"# Reliability\n\n{BEGIN}\n\none\n\n{END}\n"
    document.write_text(document.read_text() + "\nMore.\n")
    write(r"two \1", document)
    assert document.read_text() == f"# Reliability\n\n{BEGIN}\n\ntwo \\1\n\n{END}\n\nMore.\n"
