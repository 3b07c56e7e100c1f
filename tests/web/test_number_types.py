"""Some types of numbers never get an SMS or a call; settings can refuse other types."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from config import SettingsError, load_settings
from tests.support.running import ACCOUNT, Sandbox, Service, refusal

Start = Callable[..., Service]
NOT_ALLOWED = (400, "phone_number_not_allowed")
NO_COUNTRY = {
    "satellite, Globalstar": "+881612345678",
    "satellite, Inmarsat": "+870773111632",
    "networks of no country": "+88213300655",
    "networks of no country, the other code": "+883510000000094",
    "universal personal": "+878101234567890",
    "toll free everywhere": "+80012345678",
    "shared cost everywhere": "+80812345678",
    "premium rate everywhere": "+979123456789",
}
PERSONAL = {"Britain": "+447012345678", "Germany": "+4970012345678", "the United States": "+15002345678"}
VOIP, LANDLINE, MOBILE = "+33912345678", "+442071838750", "+447400123456"
EITHER = "+14155552671"  # numbers in the United States do not show whether they are mobile
GIVEN = {"INFOBIP_BASE_URL": "x.api.infobip.com", "REDIS_URL": "redis://localhost", **ACCOUNT}


def call(service: Service, phone: str) -> tuple[int, str]:
    answer = service.post("/send-otp", {"phoneNumber": phone, "channel": "voice"})
    return (200, "") if answer.status_code == 200 else refusal(answer)


def text(service: Service, phone: str) -> tuple[int, str]:
    answer = service.send(phone)
    return (200, "") if answer.status_code == 200 else refusal(answer)


@pytest.mark.parametrize("number", [*NO_COUNTRY.values(), *PERSONAL.values()], ids=[*NO_COUNTRY, *PERSONAL])
def test_numbers_of_no_country_and_personal_numbers_get_no_message(
    service: Service, sandbox: Sandbox, number: str
) -> None:
    assert [text(service, number), call(service, number)] == [NOT_ALLOWED] * 2
    assert refusal(service.post("/resend-otp", {"phoneNumber": number})) == NOT_ALLOWED
    assert sandbox.request_count() == 0
    assert refusal(service.verify(number, "123456")) == (401, "invalid_otp"), "as for every number without a PIN"


def test_settings_refuse_number_types(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    service = start(sandbox.url, REFUSED_NUMBER_TYPES="VOIP, fixed_line")
    assert [text(service, number) for number in (VOIP, LANDLINE)] == [NOT_ALLOWED] * 2
    assert [call(service, number) for number in (VOIP, LANDLINE)] == [NOT_ALLOWED] * 2, "of calls, the same"
    assert [text(service, number) for number in (MOBILE, EITHER)] == [(200, "")] * 2


def test_settings_may_refuse_other_types_for_calls(start: Start, database: redis.Redis, sandbox: Sandbox) -> None:
    types = {"REFUSED_NUMBER_TYPES": "FIXED_LINE", "VOICE_REFUSED_NUMBER_TYPES": "VOIP"}
    service = start(sandbox.url, **types)
    assert [text(service, LANDLINE), text(service, VOIP)] == [NOT_ALLOWED, (200, "")]
    assert [call(service, LANDLINE), call(service, "+33912345679")] == [(200, ""), NOT_ALLOWED]
    again = service.post("/resend-otp", {"phoneNumber": VOIP, "channel": "voice"})
    assert refusal(again) == NOT_ALLOWED, "nor by a call for the PIN of an SMS"


@pytest.mark.parametrize("setting", ["REFUSED_NUMBER_TYPES", "VOICE_REFUSED_NUMBER_TYPES"])
@pytest.mark.parametrize("types", ["LANDLINE", "VOIP,SATELLITE", "UNKNOWN", "6", "VOIP;PAGER"])
def test_an_unknown_number_type_ends_the_start(setting: str, types: str) -> None:
    with pytest.raises(SettingsError, match=f"  {setting}: unknown number type '.*'; there are FIXED_LINE,"):
        load_settings({**GIVEN, setting: types})


@pytest.mark.parametrize("setting", ["ALLOWED_COUNTRIES", "DEFAULT_REGION", "SMS_PRICES"])
def test_settings_refuse_the_region_001(setting: str) -> None:
    """Its numbers (+881 and the like) never get a message, so no setting may appear to allow them."""
    given = json.dumps({"currency": "EUR", "default": 1, "001": 5}) if setting == "SMS_PRICES" else "001"
    with pytest.raises(SettingsError, match=f"{setting}: .*unknown region '001'"):
        load_settings({**GIVEN, setting: given})


SMS_PRICE, VOICE_PRICE = ('{"currency": "EUR", "default": 0.1}', '{"currency": "EUR", "default": 0.9}')


@pytest.mark.parametrize(
    ("settings", "warns"),
    [
        ({"SMS_PRICES": SMS_PRICE, "ALLOWED_CHANNELS": "sms,voice"}, True),
        ({"SMS_PRICES": SMS_PRICE, "VOICE_PRICES": VOICE_PRICE}, False),
        ({"ALLOWED_CHANNELS": "sms"}, False),
    ],
)
def test_a_start_warns_if_calls_are_counted_at_the_price_of_sms(
    tmp_path: Path, database: redis.Redis, sandbox: Sandbox, redis_url: str, settings: dict[str, str], warns: bool
) -> None:
    given = {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url, **settings}
    with Service.started(tmp_path, given) as service:
        service.wait_until_up(2)
        warnings = [line for line in service.lines(level="warning", logger="otp") if "VOICE_PRICES" in line["event"]]
    assert len(warnings) == warns
