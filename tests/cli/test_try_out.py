"""`flask infobip send` and `verify` do what the service does. Commands that cannot continue end with a message."""

import re
import subprocess
import sys
from pathlib import Path
from signal import SIGINT

import pytest
import redis

from sandbox.server import EMAIL_MESSAGE_ID
from tests.support import upstream as up
from tests.support.command import CommandLine, eventually
from tests.support.running import ACCOUNT, ROOT, Sandbox, Service, other_pin
from tests.support.upstream import PIN_ID, Upstream


@pytest.fixture
def command(sandbox: Sandbox, redis_url: str, database: redis.Redis, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, REDIS_URL=redis_url, **ACCOUNT)


def test_a_pin_that_was_sent_verifies_once(command: CommandLine, sandbox: Sandbox, phone: str) -> None:
    assert command.run("send", phone) == (0, "OTP sent successfully. It is valid for 10m.\n")
    pin = sandbox.pin(phone)
    assert command.run("verify", phone, other_pin(pin)) == (1, "Invalid or expired OTP.\n")
    assert command.run("verify", phone, pin) == (0, "OTP verified successfully.\n")
    assert command.run("verify", phone, pin) == (1, "Invalid or expired OTP.\n")


def test_a_resend_has_the_same_pin_on_any_channel(
    command: CommandLine, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    assert command.run("resend", phone) == (1, "Invalid or expired OTP.\n")
    assert command.run("send", phone)[0] == 0
    assert command.run("resend", phone, "--channel", "voice")[1].startswith("Too many requests.")
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    status, output = command.run("resend", phone, "--channel", "voice")
    assert (status, bool(re.fullmatch("OTP sent successfully. It is valid for (59[0-9]s|10m).\n", output))) == (0, True)
    assert len(set(sandbox.pins(phone))) == 1
    email = {"INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID}
    assert command.run("send", "jo@example.com", **email)[0] == 0
    assert [message.channel.value for message in sandbox.messages] == ["SMS", "VOICE", "EMAIL"]
    pin = sandbox.messages[-1].pin.value
    assert command.run("verify", "jo@example.com", pin, **email) == (0, "OTP verified successfully.\n")
    assert command.run("send", phone, "--channel", "pigeon") == (1, "There is no such channel.\n")


def test_the_command_tracks_the_delivery_too(command: CommandLine, database: redis.Redis, phone: str) -> None:
    """The service stores this after its response. The command stores it before it ends."""
    tracked = {"TRACK_DELIVERY": "true", "DELIVERY_REPORTS_SECRET": "reports-secret-0123456789"}
    assert command.run_process("send", phone, **tracked)[0] == 0
    (key,) = database.scan_iter("otp:message:*")
    assert database.hget(key, "reservation") == database.get(f"{{otp:phoneNumber:{phone}}}:cooldown")


def test_the_command_and_the_service_share_their_state(
    command: CommandLine, service: Service, sandbox: Sandbox, phone: str
) -> None:
    """A phone has one cooldown and one PIN, whether the command or the service sends it."""
    assert command.run("send", phone)[0] == 0
    assert service.send(phone).status_code == 429
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200
    status, output = command.run("send", phone)
    assert (status, output.startswith("Too many requests. Please try again later. (in ")) == (1, True)
    assert len(sandbox.pins(phone)) == 1


def test_the_limits_of_the_phone_and_of_the_day_apply(
    command: CommandLine, sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    quick = {"RESEND_COOLDOWN": "2100ms", "INFOBIP_TIMEOUT": "2s"}
    assert command.run("send", phone, TOTAL_SEND_LIMIT="1 per day", **quick)[0] == 0
    eventually(lambda: not database.exists(f"{{otp:phoneNumber:{phone}}}:cooldown"))
    refused = command.run("send", "+14155552671", TOTAL_SEND_LIMIT="1 per day")
    assert (refused[0], "Too many requests" in refused[1]) == (1, True)
    status, output = command.run("send", phone, PHONE_SEND_LIMIT="1 per day", **quick)
    assert status == 1
    assert int(re.findall(r"\(in ([0-9]+) s\)", output)[0]) > 80000, "it is not the cooldown that refuses"
    assert len(sandbox.messages) == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("send", "12"), "Invalid phone number."),
        (("send", "+499001234567"), "This phone number cannot receive a code from this service."),
        (("send", "jo@example.com"), "Codes cannot be sent over this channel."),
        (("verify", "12", "123456"), "Invalid phone number."),
        (("verify", "+14155552671", "12345"), "Invalid PIN format."),
    ],
)
def test_invalid_input_is_refused_without_a_request(
    command: CommandLine, sandbox: Sandbox, arguments: tuple[str, ...], expected: str
) -> None:
    assert command.run(*arguments) == (1, f"{expected}\n")
    assert sandbox.calls == []


def test_an_invalid_api_key_fails_and_is_not_shown(command: CommandLine, phone: str) -> None:
    status, output = command.run("send", phone, INFOBIP_API_KEY="canary-key")
    assert status == 1
    assert output.endswith("The code could not be sent or checked.\n")
    assert "canary-key" not in output


def test_without_redis_nothing_is_sent(command: CommandLine, sandbox: Sandbox, phone: str) -> None:
    status, output = command.run("send", phone, REDIS_URL="redis://:canary-password@127.0.0.1:1/0")
    assert status == 1
    assert output.endswith("Redis failed. Nothing listens there. Remedy: see the host and the port in REDIS_URL.\n")
    assert "canary" not in output
    assert sandbox.calls == []


@pytest.mark.long
@pytest.mark.parametrize("act", [up.silence, up.drip])
@pytest.mark.parametrize("arguments", [("setup", "--yes"), ("check",), ("send", "+14155552671")])
def test_a_response_that_never_ends_is_aborted_at_the_timeout(
    command: CommandLine, upstream: Upstream, arguments: tuple[str, ...], act: up.Act
) -> None:
    """A byte now and then does not postpone the timeout."""
    upstream.look = act
    upstream.script.append(act)
    command.is_cold = act is up.drip  # timeouts need gevent's patches, which a new Python applies late
    status, output = command.run_process(*arguments, INFOBIP_BASE_URL=upstream.url, INFOBIP_TIMEOUT="500ms")
    assert status == (2 if arguments == ("check",) else 1)
    assert "in time" in output


@pytest.mark.long
@pytest.mark.parametrize("arguments", [("setup",), ("check",), ("check", "--json"), ("send", "+14155552671")])
def test_ctrl_c_stops_a_hanging_request(command: CommandLine, upstream: Upstream, arguments: tuple[str, ...]) -> None:
    upstream.look = up.silence
    upstream.script.append(up.silence)
    with command.start(*arguments, INFOBIP_BASE_URL=upstream.url) as process:
        eventually(lambda: upstream.looks + [path for path, *_ in upstream.requests])
        process.send_signal(SIGINT)
        output, _ = process.communicate(timeout=60)
    assert output.splitlines()[-1] == "Stopped."
    assert process.returncode == 130
    assert "KeyboardInterrupt" not in output


def test_ctrl_c_at_the_question_changes_nothing(command: CommandLine, sandbox: Sandbox) -> None:
    with command.start("setup") as process:
        assert process.stdout
        output = ""
        while not output.endswith("[y/N]: "):
            output += process.stdout.read(1)
        process.send_signal(SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert (process.returncode, rest) == (130, "\nStopped.\n")
    assert all(path.endswith(("/applications", "/messages")) for path in sandbox.calls)


def test_flask_finds_the_commands_by_itself(command: CommandLine) -> None:
    """An operator runs flask in the project's directory, which has a .flaskenv."""
    environment = {k: v for k, v in command.environment.items() if k not in ("FLASK_APP", "PYTHONPATH")}
    shown = subprocess.run(
        [Path(sys.executable).parent / "flask", "infobip", "--help"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert all(f"\n  {name} " in shown for name in ("setup", "check", "send", "resend", "verify"))


def test_the_id_of_a_pin_is_never_shown(command: CommandLine, upstream: Upstream, phone: str) -> None:
    upstream.script += [up.answer(up.SENT), up.raw(b"HTTP/1.1 200 OK\r\nbad header\r\nContent-Length: 2\r\n\r\n{}")]
    here = {"INFOBIP_BASE_URL": upstream.url}
    output = command.run_process("send", phone, **here)[1] + command.run("verify", phone, "918273", **here)[1]
    assert len(upstream.requests) == 2
    assert not [secret for secret in (PIN_ID, "918273", ACCOUNT["INFOBIP_API_KEY"]) if secret in output]
