"""`flask infobip setup` creates what is missing, changes what differs, and does nothing else."""

from pathlib import Path

import pytest

from sandbox.authorization import SEND_ONLY_KEY
from sandbox.model import Application, ApplicationRequest, Configuration, EmailTemplate, Template, TemplateUpdate
from tests.support import upstream as up
from tests.support.command import CommandLine
from tests.support.running import Sandbox
from tests.support.upstream import Upstream

SAFE = Configuration(
    pin_attempts=5,
    allow_multiple_pin_verifications=False,
    pin_time_to_live="10m",
    verify_pin_limit="5/3s",
    send_pin_per_application_limit="10000/1d",
    send_pin_per_phone_number_limit="53/1d",
)


@pytest.fixture
def command(sandbox: Sandbox, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url)


def application_and_template(sandbox: Sandbox) -> tuple[Application, Template]:
    """Return the only application and its only template for SMS."""
    (application,) = sandbox.two_factor.applications.all()
    templates = sandbox.two_factor.applications.templates(application.application_id)
    (template,) = (each for each in templates if isinstance(each, Template))
    return application, template


def test_an_empty_account_gets_safe_values(empty: Sandbox, command: CommandLine) -> None:
    status, output = command.run("setup", typed="y\n")
    assert status == 0
    application, template = application_and_template(empty)
    assert (application.name, application.enabled, application.configuration) == ("OTP service", True, SAFE)
    assert (template.message_text, template.pin_length) == ("{{pin}} is your verification code.", 6)
    assert template.pin_type == "NUMERIC"
    assert command.ids() == (application.application_id, template.message_id)
    assert command.env_file.stat().st_mode & 0o777 == 0o600
    for shown in ('"10m"', '"5/3s"', '"10000/1d"', '"53/1d"', '"{{pin}} is your verification code."', "Do this?"):
        assert shown in output
    assert output.index("Create the application") < output.index("Do this?") < output.index("Done.")


def test_setup_uses_the_values_of_the_settings(empty: Sandbox, command: CommandLine) -> None:
    settings = {"PIN_TIME_TO_LIVE": "90s", "PIN_ATTEMPTS": "3", "PIN_LENGTH": "4", "PIN_TYPE": "HEX"}
    limits = {"PHONE_SEND_LIMIT": "1 per minute, 3 per 2 hours", "TOTAL_SEND_LIMIT": "7 per 3 years"}
    slow = {"RESEND_COOLDOWN": "2s", "INFOBIP_TIMEOUT": "1s"}
    options = ("--name", "Shop", "--text", "Dein Code: {{pin}} €", "--sender", "Shop")
    assert command.run("setup", "--yes", *options, **settings, **limits, **slow)[0] == 0
    application, template = application_and_template(empty)
    assert application.name == "Shop"
    assert application.configuration == Configuration(
        pin_attempts=3,
        allow_multiple_pin_verifications=False,
        pin_time_to_live="90s",
        verify_pin_limit="3/2s",
        send_pin_per_application_limit="7/365d",
        send_pin_per_phone_number_limit="7/2h",
    )
    assert (template.message_text, template.pin_length, template.pin_type) == ("Dein Code: {{pin}} €", 4, "HEX")
    assert template.sender_id == "Shop"


def test_a_second_run_changes_nothing_and_asks_nothing(empty: Sandbox, command: CommandLine) -> None:
    command.run("setup", "--yes", "--sender", "Shop")
    written, (application, _) = command.env_file.read_bytes(), application_and_template(empty)
    empty.calls.clear()
    status, output = command.run("setup")
    assert (status, output.splitlines()[-1]) == (0, "There is nothing to do.")
    path = f"/2fa/2/applications/{application.application_id}/messages"
    assert empty.calls == ["/2fa/2/applications", path], "it only looked"
    assert command.env_file.read_bytes() == written


def test_differences_are_shown_and_changed(empty: Sandbox, command: CommandLine) -> None:
    command.run("setup", "--yes", "--text", "Mine: {{pin}}")
    ids = command.ids()
    status, output = command.run("setup", "--yes", PIN_TIME_TO_LIVE="5m", PIN_LENGTH="8")
    assert status == 0
    assert '"10m" -> "5m"' in output
    assert "6 -> 8" in output
    application, template = application_and_template(empty)
    assert (application.application_id, template.message_id) == ids == command.ids()
    assert application.configuration.pin_time_to_live == "5m"
    assert (template.pin_length, template.message_text) == (8, "Mine: {{pin}}")


def test_a_dry_run_or_the_answer_no_changes_nothing(empty: Sandbox, command: CommandLine) -> None:
    for options, typed, code in ((["--dry-run"], "", 0), (["--dry-run", "--yes"], "", 0), ([], "n\n", 1)):
        status, output = command.run("setup", *options, typed=typed)
        assert (status, "Nothing was changed" in output) == (code, True)
    status, output = command.run_process("setup")  # no person is there to answer
    assert (status, output.splitlines()[-1]) == (130, "Stopped.")
    assert empty.two_factor.applications.all() == []
    assert set(empty.calls) == {"/2fa/2/applications"}
    assert not command.env_file.exists()


def test_lost_ids_are_found_again_by_name_and_text(empty: Sandbox, command: CommandLine) -> None:
    command.run("setup", "--yes")
    ids = command.ids()
    command.env_file.unlink()
    status, output = command.run("setup", typed="y\n")
    assert (status, command.ids()) == (0, ids)
    assert "as it should be" in output
    application_and_template(empty)


def test_the_configured_application_keeps_its_name_and_text(sandbox: Sandbox, command: CommandLine) -> None:
    """It was made by hand with another name, text and language. Setup changes none of these."""
    sandbox.reset(message_text="By hand: {{pin}}", language="de", speech_rate=1.5, sender_id="Hand")
    before, _ = application_and_template(sandbox)
    command.env_file.write_text("INFOBIP_2FA_APP_ID=sandbox-application\nINFOBIP_2FA_MSG_ID=sandbox-message\n")
    assert command.run("setup", "--yes", PIN_LENGTH="5")[0] == 0
    application, template = application_and_template(sandbox)
    assert (application.name, application.configuration) == (before.name, SAFE)
    assert (template.message_text, template.sender_id, template.pin_length) == ("By hand: {{pin}}", "Hand", 5)
    assert (template.language, template.speech_rate) == ("de", 1.5)


def test_another_name_makes_another_application(empty: Sandbox, command: CommandLine) -> None:
    command.run("setup", "--yes")
    first = command.ids()
    assert command.run("setup", "--yes", "--name", "Second")[0] == 0
    assert command.ids()[0] != first[0]
    assert [a.name for a in empty.two_factor.applications.all()] == ["OTP service", "Second"]


def test_a_disabled_application_is_enabled_and_an_email_template_kept(empty: Sandbox, command: CommandLine) -> None:
    applications = empty.two_factor.applications
    email = EmailTemplate(message_id="EMAIL", application_id="APP", email_template_id=1)
    applications.add(Application(application_id="APP", name="OTP service", enabled=False), email)
    command.env_file.write_text("INFOBIP_2FA_MSG_ID=EMAIL\n")
    assert command.run("setup", "--yes")[0] == 0
    assert applications.get("APP").enabled is True
    assert command.ids()[1] != "EMAIL"
    assert email in applications.templates("APP")
    applications.update_template("APP", command.ids()[1], TemplateUpdate(message_text="No placeholder {{pin}}"))
    applications.update("APP", ApplicationRequest(name="OTP service", configuration=SAFE, enabled=True))
    assert command.run("setup")[1].splitlines()[-1] == "There is nothing to do."


def test_another_notation_of_a_value_is_no_difference(sandbox: Sandbox, command: CommandLine) -> None:
    same = {"pin_time_to_live": "600s", "send_pin_per_phone_number_limit": "53/24h", "verify_pin_limit": "5/3000ms"}
    sandbox.reset(SAFE.model_copy(update=same))
    command.env_file.write_text("INFOBIP_2FA_APP_ID=sandbox-application\nINFOBIP_2FA_MSG_ID=sandbox-message\n")
    assert command.run("setup")[1].splitlines()[-1] == "There is nothing to do."


@pytest.mark.parametrize(
    ("key", "expected"),
    [("another", "Infobip does not accept the API key."), (SEND_ONLY_KEY, "may not read or change applications")],
)
def test_an_invalid_or_restricted_api_key_fails(empty: Sandbox, command: CommandLine, key: str, expected: str) -> None:
    status, output = command.run("setup", "--yes", INFOBIP_API_KEY=key)
    assert (status, expected in output, key in output) == (1, True, False)


def test_missing_settings_are_named(command: CommandLine) -> None:
    """Only the settings that setup needs are named."""
    status, output = command.run("setup", INFOBIP_BASE_URL="", INFOBIP_API_KEY="")
    assert (status, output.count(": is missing")) == (1, 2)
    status, output = command.run("setup", "--text", "no placeholder")
    assert (status, "must have {{pin}} in it" in output) == (2, True)


def test_infobips_reasons_are_shown(upstream: Upstream, command: CommandLine) -> None:
    upstream.look = up.answer([])
    reasons = {"senderId": ["is not yours\x1b[2J", "is too long"]}
    refusal = {"messageId": "BAD_REQUEST", "text": "Bad request", "validationErrors": reasons}
    upstream.script.append(up.answer({"requestError": {"serviceException": refusal}}, 400))
    status, output = command.run_process("setup", "--yes", INFOBIP_BASE_URL=upstream.url)
    assert (status, "senderId is not yours[2J and is too long" in output) == (1, True)
    assert not command.env_file.exists()


@pytest.mark.parametrize("response", [{}, {"applicationId": None}, {"applicationId": "a/b"}, [], "x", b"{"])
def test_the_response_must_have_a_valid_id(upstream: Upstream, command: CommandLine, response: object) -> None:
    upstream.look = up.answer([])
    upstream.script.append(up.answer(response))
    status, output = command.run("setup", "--yes", INFOBIP_BASE_URL=upstream.url)
    assert (status, "an answer that makes no sense" in output) == (1, True)
    assert len(upstream.requests) == 1
