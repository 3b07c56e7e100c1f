"""`flask infobip setup --voice` makes templates that only calls use, without the last line for phones."""

import json
from pathlib import Path

import pytest
from dotenv import dotenv_values

from cli.account_setup.message_texts import read_message_texts
from sandbox.model import Template
from tests.support.command import CommandLine
from tests.support.running import Sandbox

NOTHING = "There is nothing to do."
TEXTS = read_message_texts()
LINE = "@example.com #{{pin}}"


@pytest.fixture
def command(empty: Sandbox, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, INFOBIP_BASE_URL=empty.url, WEBOTP_DOMAIN="example.com")


def templates(sandbox: Sandbox) -> dict[str, Template]:
    """Return the templates of the only application, by id."""
    (application,) = sandbox.two_factor.applications.all()
    there = sandbox.two_factor.applications.templates(application.application_id)
    return {each.message_id: each for each in there if isinstance(each, Template)}


def test_calls_get_a_template_of_their_own(empty: Sandbox, command: CommandLine) -> None:
    assert command.run("setup", "--yes")[0] == 0
    read = ("--speech-rate", "0.8", "--repeat-dtmf", "1#")
    status, output = command.run("setup", "--yes", "--voice", "--languages", "de,tr", *read)
    assert (status, "Create the message template for calls:" in output) == (0, True)
    written, there = dotenv_values(command.env_file), templates(empty)
    sms, call = there[written["INFOBIP_2FA_MSG_ID"] or ""], there[written["INFOBIP_2FA_VOICE_MSG_ID"] or ""]
    assert (sms.message_text, sms.speech_rate) == (f"{TEXTS['en']}\n\n{LINE}", None)
    assert (call.message_text, call.speech_rate, call.repeat_dtmf) == (TEXTS["en"], 0.8, "1#")
    ids = json.loads(written["INFOBIP_TEMPLATES"] or "")
    assert {channel: [*of] for channel, of in ids.items()} == {"sms": ["de", "tr"], "voice": ["de"]}, "none reads tr"
    german = there[ids["voice"]["de"]]
    assert (german.message_text, german.language, german.speech_rate) == (TEXTS["de"], "de", 0.8)


def test_the_templates_of_calls_are_kept_and_found_again(empty: Sandbox, command: CommandLine) -> None:
    options = ("--voice-text", "Code: {{pin}}", "--languages", "de", "--language", "fr")
    command.run("setup", "--yes", *options)
    written, there = dotenv_values(command.env_file), templates(empty)
    assert there[written["INFOBIP_2FA_VOICE_MSG_ID"] or ""].language == "fr"
    for again in ((), ("--voice",), options):
        assert command.run("setup", *again)[1].splitlines()[-1] == NOTHING
    assert command.run("setup", "--yes", PIN_LENGTH="8")[0] == 0
    assert {each.pin_length for each in templates(empty).values()} == {8}
    command.env_file.unlink()
    command.run("setup", "--yes", *options)
    assert dotenv_values(command.env_file) == written
    assert [*templates(empty)] == [*there]


def test_the_last_line_for_phones_is_removed_from_calls(empty: Sandbox, command: CommandLine) -> None:
    command.run("setup", "--yes", "--voice-text", f"Mine: {{{{pin}}}}\n\n{LINE}")
    (application,) = empty.two_factor.applications.all()
    its_id = dotenv_values(command.env_file)["INFOBIP_2FA_VOICE_MSG_ID"] or ""
    call = templates(empty).pop(its_id)
    assert call.message_text == "Mine: {{pin}}"
    by_hand = {**templates(empty), its_id: call.copy_with({"message_text": f"Hand: {{{{pin}}}}\n\n{LINE}"})}
    empty.two_factor.applications.add(application, *by_hand.values())
    assert command.run("setup", "--yes")[0] == 0
    assert templates(empty)[its_id].message_text == "Hand: {{pin}}"


def test_one_template_for_sms_and_calls_stays_one(empty: Sandbox, command: CommandLine) -> None:
    """Without --voice, calls use the template of the SMS, with its last line."""
    command.run("setup", "--yes", "--languages", "de")
    ids = json.loads(dotenv_values(command.env_file)["INFOBIP_TEMPLATES"] or "")
    both = {"INFOBIP_2FA_VOICE_MSG_ID": command.ids()[1], "INFOBIP_TEMPLATES": json.dumps({**ids, "voice": ids["sms"]})}
    assert command.run("setup", **both)[1].splitlines()[-1] == NOTHING


@pytest.mark.parametrize("option", [("--voice-text", "Code"), ("--speech-rate", "3")])
def test_an_invalid_option_is_refused(empty: Sandbox, command: CommandLine, option: tuple[str, str]) -> None:
    assert (command.run("setup", *option)[0], empty.calls) == (2, [])
