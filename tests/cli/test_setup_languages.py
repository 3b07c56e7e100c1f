"""`flask infobip setup --languages` makes a template for each language, with the last line that phones look for."""

import json
from pathlib import Path

import pytest
from dotenv import dotenv_values

from cli.account_check.segments import measure
from cli.account_setup.message_texts import read_message_texts
from otp.languages import voice_language
from sandbox.model import EmailTemplate, Template
from tests.support.command import CommandLine
from tests.support.running import Sandbox

NOTHING = "There is nothing to do."
DE, FR = read_message_texts()["de"], read_message_texts()["fr"]


@pytest.fixture
def command(empty: Sandbox, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, INFOBIP_BASE_URL=empty.url)


def ids(command: CommandLine) -> dict[str, dict[str, str]]:
    """Return INFOBIP_TEMPLATES from the `.env`."""
    written: dict[str, dict[str, str]] = json.loads(dotenv_values(command.env_file)["INFOBIP_TEMPLATES"] or "")
    return written


def templates(sandbox: Sandbox, application: int = 0) -> list[Template]:
    """Return the templates of an application, oldest first. 0 is the oldest application."""
    two_factor = sandbox.two_factor.applications
    there = two_factor.templates(two_factor.all()[application].application_id)
    return [each for each in there if isinstance(each, Template)]


def texts(sandbox: Sandbox) -> list[str]:
    return [each.message_text for each in templates(sandbox)]


def last_line(output: str) -> str:
    return output.splitlines()[-1]


def change(sandbox: Sandbox, message_id: str, **new: str) -> None:
    """Change a template, as a person does at portal.infobip.com."""
    applications = sandbox.two_factor.applications
    (application,) = applications.all()
    there = applications.templates(application.application_id)
    changed = [each.copy_with(new) if each.message_id == message_id else each for each in there]
    applications.add(application, *changed)


def test_the_default_template_may_be_of_another_language(empty: Sandbox, command: CommandLine) -> None:
    """Otherwise a call would read German in English. A text that was changed by hand is kept."""
    assert command.run("setup", "--yes", "--language", "de")[0] == 0
    assert [(each.message_text, each.language) for each in templates(empty)] == [(DE, "de")]
    change(empty, command.ids()[1], message_text="Code {{pin}}")
    status, output = command.run("setup", "--yes", "--language", "pt-BR")
    assert (status, '"de" -> "pt_br"' in output) == (0, True)
    assert [(each.message_text, each.language) for each in templates(empty)] == [("Code {{pin}}", "pt_br")]
    assert last_line(command.run("setup", "--yes")[1]) == NOTHING


@pytest.mark.parametrize("language", ["tr", "de_DE", "german", ""])
def test_a_language_without_a_voice_is_refused(empty: Sandbox, command: CommandLine, language: str) -> None:
    status, output = command.run("setup", "--yes", "--language", language)
    assert (status, "like de, of a language for which Infobip has a voice" in output) == (2, True)
    assert empty.two_factor.applications.all() == []


def test_without_the_option_no_language_gets_a_template(empty: Sandbox, command: CommandLine) -> None:
    assert command.run("setup", "--yes")[0] == 0
    assert texts(empty) == ["{{pin}} is your verification code."]
    assert "INFOBIP_TEMPLATES" not in command.env_file.read_text()


def test_a_template_for_each_language(empty: Sandbox, command: CommandLine) -> None:
    status, output = command.run("setup", "--languages", "de, fr", "--sender", "Shop", typed="y\n", PIN_LENGTH="4")
    assert status == 0
    command.run("setup", "--yes", "--languages", "it", PIN_LENGTH="4")
    assert output.index("Create the message template for de:") < output.index("Do this?")
    default, german, french, italian = templates(empty)
    assert (german.message_text, german.language, german.pin_length, german.sender_id) == (DE, "de", 4, "Shop")
    assert (french.message_text, french.language, default.language) == (FR, "fr", None)
    assert (italian.message_text, italian.sender_id) == (read_message_texts()["it"], "Shop"), "as the default's"
    made = {"de": german.message_id, "fr": french.message_id, "it": italian.message_id}
    assert ids(command) == {"sms": made}
    assert command.ids()[1] == default.message_id


def test_a_second_run_changes_nothing(empty: Sandbox, command: CommandLine) -> None:
    command.run("setup", "--yes", "--languages", "all")
    written = command.env_file.read_bytes()
    empty.calls.clear()
    assert last_line(command.run("setup")[1]) == NOTHING
    assert last_line(command.run("setup", "--languages", "all")[1]) == NOTHING
    assert last_line(command.run("setup", "--languages", "pl")[1]) == NOTHING
    assert len(empty.calls) == 6, "two looks each"
    assert command.env_file.read_bytes() == written


def test_all_ten_languages_may_be_added_later(empty: Sandbox, command: CommandLine) -> None:
    command.run("setup", "--yes", "--languages", "de")
    german = ids(command)["sms"]["de"]
    command.run("setup", "--yes", "--languages", "all")
    made = templates(empty)[1:]
    assert len(made) == len(read_message_texts()) == 10
    assert ids(command)["sms"]["de"] == german
    assert {each.message_text: each.language for each in made} == {
        text: voice_language(tag) for tag, text in read_message_texts().items()
    }
    assert [each.message_text for each in made if each.language is None] == [read_message_texts()["tr"]]


def test_a_text_changed_by_hand_stays_unless_its_language_is_asked_for(empty: Sandbox, command: CommandLine) -> None:
    command.run("setup", "--yes", "--languages", "de,fr")
    change(empty, ids(command)["sms"]["de"], message_text="Hallo! {{pin}}", language="en")
    assert last_line(command.run("setup")[1]) == NOTHING
    command.run("setup", "--yes", PIN_LENGTH="8")
    assert [each.pin_length for each in templates(empty)] == [8, 8, 8]
    assert texts(empty)[1:] == ["Hallo! {{pin}}", FR]
    output = command.run("setup", "--languages", "de", typed="y\n", PIN_LENGTH="8")[1]
    assert f'"Hallo! {{{{pin}}}}" -> "{DE}"' in output
    assert texts(empty)[1:] == [DE, FR]
    assert templates(empty)[1].language == "en"


def test_lost_ids_are_found_again_by_their_texts(empty: Sandbox, command: CommandLine) -> None:
    """English has the text of the default template, and still a template of its own."""
    options = ("--yes", "--languages", "en,de")
    command.run("setup", *options, WEBOTP_DOMAIN="example.com")
    default, written = command.ids(), ids(command)
    command.env_file.unlink()
    assert command.run("setup", *options, WEBOTP_DOMAIN="example.com")[0] == 0
    assert (command.ids(), ids(command)) == (default, written)
    assert len(templates(empty)) == 3


def test_other_entries_of_the_setting_are_kept(empty: Sandbox, command: CommandLine) -> None:
    command.run("setup", "--yes")
    given = {"voice": {"de": "CALL"}, "email": {"fr": "MAIL"}, "sms": {"ja": "UNKNOWN", "en": command.ids()[1]}}
    with command.env_file.open("a") as file:
        file.write(f"INFOBIP_TEMPLATES={json.dumps(given)}  # ours\n")
    assert last_line(command.run("setup")[1]) == NOTHING, (
        "whom nothing is known of, or the default is for, is left alone"
    )
    command.run("setup", "--yes", "--languages", "de")
    assert ids(command) == {**given, "sms": {**given["sms"], "de": templates(empty)[1].message_id}}
    assert command.env_file.read_text().endswith("  # ours\n")


def test_another_application_gets_templates_of_its_own(empty: Sandbox, command: CommandLine) -> None:
    command.run("setup", "--yes", "--languages", "de")
    first = ids(command)
    assert command.run("setup", "--yes", "--name", "Second")[0] == 0
    default, german = templates(empty, application=1)
    assert (default.message_id, german.message_text) == (command.ids()[1], DE)
    assert ids(command) == {"sms": {"de": german.message_id}} != first


def test_the_template_of_calls_is_not_used_for_sms(empty: Sandbox, command: CommandLine) -> None:
    """Its text is the same, but it must not get a last line that makes no sense when it is read aloud."""
    command.run("setup", "--yes", "--text", "Hallo! {{pin}}")
    command.run("setup", "--yes", "--languages", "de")
    _, call = templates(empty)
    command.env_file.write_text(f"INFOBIP_2FA_VOICE_MSG_ID={call.message_id}\nWEBOTP_DOMAIN=example.com\n")
    assert command.run("setup", "--yes", "--languages", "de", "--text", "Hallo! {{pin}}")[0] == 0
    assert [each.message_text for each in templates(empty) if each.message_id == call.message_id] == [DE]
    assert f"{DE}\n\n@example.com #{{{{pin}}}}" in texts(empty)


def test_an_email_template_is_never_used_for_sms(empty: Sandbox, command: CommandLine) -> None:
    command.run("setup", "--yes")
    (application,) = empty.two_factor.applications.all()
    email = EmailTemplate(message_id="MAIL", application_id=application.application_id, email_template_id=1)
    empty.two_factor.applications.add(application, *templates(empty), email)
    assert command.run("setup", "--yes", "--languages", "de", INFOBIP_TEMPLATES='{"sms":{"de":"MAIL"}}')[0] == 1
    assert ids(command)["sms"]["de"] == templates(empty)[1].message_id != "MAIL"


def test_a_setting_in_a_file_is_left_there(empty: Sandbox, command: CommandLine) -> None:
    command.run("setup", "--yes", "--languages", "de")
    (command.directory / "templates.json").write_text(json.dumps(ids(command)))
    with_file = {"INFOBIP_TEMPLATES": "templates.json"}
    command.env_file.write_text(
        "".join(
            f"{name}={value}\n"
            for name, value in dotenv_values(command.env_file).items()
            if name != "INFOBIP_TEMPLATES"
        )
    )
    assert last_line(command.run("setup", **with_file)[1]) == NOTHING
    assert command.run("setup", "--yes", PIN_LENGTH="8", **with_file)[0] == 0
    assert "INFOBIP_TEMPLATES" not in command.env_file.read_text()


def test_a_language_without_a_text_is_refused(empty: Sandbox, command: CommandLine) -> None:
    status, output = command.run("setup", "--languages", "de,xx,de_DE")
    assert (status, "templates.toml has no xx, de_DE; it has en, de, fr," in output) == (2, True)
    assert empty.calls == []


@pytest.mark.parametrize(
    ("setting", "other"),
    [
        ({"WEBOTP_DOMAIN": "example.com"}, {"WEBOTP_DOMAIN": "app.example.org"}),
        ({"ANDROID_APP_HASH": "FA+9qCX9VSu"}, {"ANDROID_APP_HASH": "aB3/xxxxxxx"}),
    ],
)
def test_the_last_line_follows_the_settings(
    empty: Sandbox, command: CommandLine, setting: dict[str, str], other: dict[str, str]
) -> None:
    """It is added to every text. A changed setting replaces it."""
    command.run("setup", "--yes", "--languages", "de", "--text", "Mine: {{pin}}")
    for given in (setting, other):
        ((name, value),) = given.items()
        line = f"@{value} #{{{{pin}}}}" if name == "WEBOTP_DOMAIN" else value
        assert command.run("setup", "--yes", **given)[0] == 0
        assert texts(empty) == [f"Mine: {{{{pin}}}}\n\n{line}", f"{DE}\n\n{line}"]
        assert last_line(command.run("setup", **given)[1]) == NOTHING
    command.run("setup", "--yes", "--languages", "de", "--text", "Mine: {{pin}}")
    assert texts(empty) == ["Mine: {{pin}}", DE]


def test_the_two_last_lines_exclude_each_other(command: CommandLine) -> None:
    status, output = command.run("setup", WEBOTP_DOMAIN="example.com", ANDROID_APP_HASH="FA+9qCX9VSu")
    assert (status, "ANDROID_APP_HASH: cannot be set together with WEBOTP_DOMAIN" in output) == (1, True)


@pytest.mark.parametrize("tag", read_message_texts())
def test_each_text_is_one_sms_whose_pin_comes_first(tag: str) -> None:
    text = read_message_texts()[tag]
    assert text.startswith("{{pin}} ")
    host = f"{'a' * 63}.{'b' * 32}.com"
    assert len(host) == 100, "as templates.toml promises"
    for line in ("", f"\n\n@{host} #123456", "\n\nFA+9qCX9VSu"):
        sms = text.replace("{{pin}}", "123456") + line
        assert (measure(sms).segments, measure(sms).encoding) == (1, "GSM-7")
        assert "{" not in sms
        assert host in line or len(sms.encode()) <= 140


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("[sms]\nde = 'Ihr Code'", "templates.toml: sms.de: must have {{pin}} in it"),
        ("[sms]\nde_DE = '{{pin}}'", "templates.toml: sms.de_DE: 'de_DE' is not a language tag"),
        ("[sms]\nde = 1", "templates.toml: sms.de: Input should be a valid string"),
        ("[email]\nde = '{{pin}}'", "templates.toml: sms: Field required"),
        ("[sms", "templates.toml cannot be read: "),
    ],
)
def test_an_invalid_file_of_texts_is_refused(tmp_path: Path, written: str, expected: str) -> None:
    file = tmp_path / "templates.toml"
    file.write_text(written)
    with pytest.raises(ValueError, match=r"templates\.toml") as raised:
        read_message_texts(file)
    assert expected in str(raised.value)
