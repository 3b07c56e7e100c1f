"""The long run, in its shortest form."""

from pathlib import Path

from tests.faults.checker import RULES
from tests.faults.report import BEGIN, END, write
from tools.soak import soak


def test_a_soak_finds_nothing_and_says_in_how_much(tmp_path: Path) -> None:
    text, clean = soak(tmp_path, 0.006)
    assert clean, text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ") and "found" not in line]
    assert len(rows) == len(RULES) + 1
    assert all(int(row[1].split()[0].replace(",", "")) > 0 for row in rows), text
    assert {row[2] for row in rows[:-1]} == {"0"}


def test_the_table_takes_the_place_of_the_last_one(tmp_path: Path) -> None:
    document = tmp_path / "reliability.md"
    write("one", document)
    assert document.read_text() == f"# Reliability\n\n{BEGIN}\n\none\n\n{END}\n"
    document.write_text(document.read_text() + "\nMore.\n")
    write(r"two \1", document)
    assert document.read_text() == f"# Reliability\n\n{BEGIN}\n\ntwo \\1\n\n{END}\n\nMore.\n"
