"""`flask infobip setup --email-template` makes the template of e-mails, whose text is in Infobip's portal."""

from pathlib import Path

import pytest
from dotenv import dotenv_values

from sandbox.model import EmailTemplate
from tests.support.command import CommandLine
from tests.support.running import Sandbox

NOTHING = "There is nothing to do."
OPTIONS = ("--email-template", "1234", "--email-sender", "Shop <codes@example.com>")


@pytest.fixture
def command(empty: Sandbox, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, INFOBIP_BASE_URL=empty.url)


def mails(sandbox: Sandbox) -> list[EmailTemplate]:
    """Return the e-mail templates of the only application."""
    (application,) = sandbox.two_factor.applications.all()
    there = sandbox.two_factor.applications.templates(application.application_id)
    return [each for each in there if isinstance(each, EmailTemplate)]


def test_the_template_is_made_and_kept(empty: Sandbox, command: CommandLine) -> None:
    status, output = command.run("setup", "--yes", *OPTIONS)
    assert (status, "Create the message template for e-mails:" in output) == (0, True)
    (mail,) = mails(empty)
    assert dotenv_values(command.env_file)["INFOBIP_2FA_EMAIL_MSG_ID"] == mail.message_id
    assert (mail.email_template_id, mail.from_, mail.pin_length) == (1234, "Shop <codes@example.com>", 6)
    (application,) = empty.two_factor.applications.all()
    assert application.configuration.send_pin_per_application_limit == "20000/1d", "it takes SMS and e-mails"
    for again in (OPTIONS, ()):
        assert command.run("setup", *again)[1].splitlines()[-1] == NOTHING
    assert command.run("setup", "--yes", PIN_LENGTH="8")[0] == 0
    assert command.run("setup", "--yes", "--email-template", "99", PIN_LENGTH="8")[0] == 0
    assert mails(empty) == [mail.copy_with({"pin_length": 8, "email_template_id": 99})]


def test_a_lost_id_is_found_again(empty: Sandbox, command: CommandLine) -> None:
    command.run("setup", "--yes", *OPTIONS)
    written = dotenv_values(command.env_file)
    command.env_file.unlink()
    assert command.run("setup", "--yes", "--email-template", "1234")[0] == 0
    assert (dotenv_values(command.env_file), len(mails(empty))) == (written, 1)


def test_without_the_option_no_email_template_is_made(empty: Sandbox, command: CommandLine) -> None:
    command.run("setup", "--yes", INFOBIP_2FA_EMAIL_MSG_ID="UNKNOWN")
    assert mails(empty) == []
    assert command.run("setup", "--email-template", "x")[0] == 2
