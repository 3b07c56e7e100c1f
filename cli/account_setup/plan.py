"""Plans what `flask infobip setup` changes at Infobip."""

import json
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import NamedTuple

from limits import RateLimitItem

from cli.account_setup.changes import Change, id_of
from cli.account_setup.email_changes import email_changes
from cli.account_setup.template_changes import Place, SetupOptions, Templates
from config import AccountSettings
from otp.channels import CHANNELS
from otp.durations import Rate, duration
from otp.infobip.account import Account, Application, Configuration, Template
from otp.send_limits.recipient_limit import most_of
from otp.setting_sources import ENV_FILE

NAME = "OTP service"
YEAR = 365 * 86400.0  # the longest period of a limit at Infobip
BURST = 3.0  # seconds; people cannot type the PIN of a second SMS faster


class Plan(NamedTuple):
    """The changes that are needed; `templates` are by the place of their ids in the settings."""

    settings: AccountSettings
    application: Change[Application]
    templates: dict[Place, Change[Template]]

    @property
    def ids_are_set(self) -> bool:
        """Whether the settings already have all ids."""
        if not self.application.now or not all(change.now for change in self.templates.values()):
            return False
        ids = {place: id_of(change.now) for place, change in self.templates.items()}
        written = self._with_ids(id_of(self.application.now), ids)
        return all(getattr(self.settings, name.lower()) == value for name, value in written.items())

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to change at Infobip and in the settings."""
        return self.ids_are_set and not (
            self.application.fields or any(change.fields for change in self.templates.values())
        )

    def lines(self) -> Iterator[str]:
        """What the operator sees."""
        yield from self.application.lines()
        for change in self.templates.values():
            yield from change.lines()
        yield f"Their ids are {'in the settings.' if self.ids_are_set else f'to be written into {ENV_FILE}.'}"

    def apply(self, account: Account) -> dict[str, str]:
        """Change what differs at Infobip, and return the ids as settings.

        Raises:
            AccountError: Infobip refused a change. The next plan finds the changes made before.
        """
        application = self.application
        made = account.save_application(application.wanted) if application.fields else None
        application_id, ids = id_of(application.now or made), {}
        for place, change in self.templates.items():
            saved = account.save_template(application_id, change.wanted) if change.fields else None
            ids[place] = id_of(change.now or saved)
        return self._with_ids(application_id, ids)

    def _with_ids(self, application_id: str, ids: Mapping[Place, str]) -> dict[str, str]:
        """The settings with the ids of the application and the templates; INFOBIP_TEMPLATES only where it changes."""
        defaults = {
            CHANNELS[channel].templates[0].upper(): ids[channel, locale] for channel, locale in ids if not locale
        }
        before = self.settings.infobip_templates
        after = {channel: {**of} for channel, of in before.items()}
        for channel, locale in filter(itemgetter(1), ids):
            after.setdefault(channel, {})[locale] = ids[channel, locale]
        changed = {"INFOBIP_TEMPLATES": json.dumps(after, separators=(",", ":"))} if after != before else {}
        return {"INFOBIP_2FA_APP_ID": application_id, **defaults, **changed}


def plan(settings: AccountSettings, account: Account, options: SetupOptions) -> Plan:
    """Read the account and return what has to change. It changes nothing itself.

    Raises:
        AccountError: the account cannot be read.
    """
    application = _find_application(settings, account, options)
    there = account.templates(id_of(application)) if application else ()
    changes = {**Templates(settings, options, there).changes(), **email_changes(settings, options, there)}
    wanted = _wanted_application(settings, options, application or Application())
    return Plan(settings, Change("application", application, wanted), changes)


def _find_application(settings: AccountSettings, account: Account, options: SetupOptions) -> Application | None:
    """The application with the requested name; without one, the configured application or one with the default name."""
    configured = settings.infobip_2fa_app_id
    applications = [each for each in account.applications() if each.application_id]
    applications.sort(key=lambda each: each.application_id != configured)
    named = (each for each in applications if each.name == (options.name or NAME))
    if options.name is None and applications and applications[0].application_id == configured:
        return applications[0]
    return next(named, None)


def _wanted_application(settings: AccountSettings, options: SetupOptions, now: Application) -> Application:
    sends_mails = options.email_template is not None
    ours = our_limits(settings, sends_mails=sends_mails or settings.infobip_2fa_email_msg_id is not None)
    limits = {name: _infobip_limit(rates) for name, rates in ours.items()}
    verify = Rate(settings.pin_attempts, min(settings.cooldowns[0], BURST))
    configuration = Configuration(
        pin_attempts=settings.pin_attempts,
        allow_multiple_pin_verifications=False,
        pin_time_to_live=duration(settings.pin_time_to_live),
        **{**limits, "verify_pin_limit": str(verify)},
    )
    return Application(
        application_id=now.application_id,
        name=options.name or now.name or NAME,
        enabled=True,
        configuration=configuration,
    )


def our_limits(settings: AccountSettings, *, sends_mails: bool) -> dict[str, list[Rate]]:
    """The service's own limits, by the name of the limit at Infobip that would refuse the same requests."""
    total = _rate(settings.total_send_limit)
    if sends_mails:
        total = total.plus(_rate(settings.total_email_limit))
    return {
        "send_pin_per_phone_number_limit": [
            Rate(most_of(each), each.get_expiry()) for each in settings.phone_send_limit
        ],
        "send_pin_per_application_limit": [total],
        "verify_pin_limit": [Rate(settings.pin_attempts, settings.cooldowns[0])],
    }


def _rate(limit: RateLimitItem) -> Rate:
    return Rate(limit.amount, limit.get_expiry())


def _infobip_limit(ours: list[Rate]) -> str:
    longest = max(ours, key=lambda rate: rate.period)
    return str(Rate(longest.attempts, min(longest.period, YEAR)))
