"""README.md and every page of docs/, for the tests that run what they show and compare what they say."""

from tests.support.running import ROOT

PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]}
ALL_PAGES = "\n".join(PAGES[name] for name in sorted(PAGES))
