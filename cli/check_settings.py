"""`flask config`: checks the settings without a network."""

from collections.abc import Generator, Iterator

import click

from cli.findings import Finding
from cli.terminal import AS_JSON, Sentences, show_findings
from config import Settings, SettingsError, load_settings, misread_settings


@click.group(cls=Sentences)
def config() -> None:
    """The settings: check them where there is no network."""


@config.command()
@AS_JSON
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings, too.")
def check(as_json: bool, strict: bool) -> None:
    """Check the settings alone, without any connection. Exits with 0 if the service starts with them, otherwise 1."""
    refused = {"error", "warning"} if strict else {"error"}
    statuses = show_findings(_findings(), as_json)
    raise SystemExit(not refused.isdisjoint(statuses))


def _findings() -> Iterator[Finding]:
    if (yield from settings_findings()):
        yield Finding("ok", "settings", "The service starts with them.")


def settings_findings() -> Generator[Finding, None, Settings | None]:
    """Findings about what is misspelt, wrong or weak, if anything is. Returns the settings if they are right."""
    yield from (Finding("warning", "settings", sentence) for sentence in misread_settings())
    try:
        settings = load_settings()
    except SettingsError as e:
        remedy = 'see "Settings" in the documentation'
        yield from (Finding("error", "settings", f"{reason}.", remedy) for reason in e.reasons)
        return None
    yield from (Finding("warning", "settings", sentence) for sentence in settings.warnings())
    return settings
