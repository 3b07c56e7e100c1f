"""What `flask infobip setup` wants the account to be, and what has to change for it."""

import json
from collections.abc import Iterator
from typing import NamedTuple

from cli.account_check.differences import our_limits
from cli.account_setup.changes import Step, id_of
from cli.account_setup.template_changes import SetupOptions, Templates
from otp.durations import Rate, duration
from otp.infobip.account import Account, Application, Configuration, Template
from otp.settings.account import AccountSettings
from otp.settings.section import ENV_FILE

IDS = ("INFOBIP_2FA_APP_ID", "INFOBIP_2FA_MSG_ID")
NAME = "OTP service"
YEAR = 365 * 86400.0  # no limit's period may be longer
BURST = 3.0  # seconds; nobody types so fast that another PIN's guesses could be refused


class Plan(NamedTuple):
    """What has to be done; the templates of other languages are by BCP 47 tag."""

    settings: AccountSettings
    application: Step[Application]
    template: Step[Template]
    languages: dict[str, Step[Template]]

    @property
    def templates(self) -> list[Step[Template]]:
        """All of them."""
        return [self.template, *self.languages.values()]

    @property
    def ids_are_set(self) -> bool:
        """Whether the settings have all ids."""
        if not self.application.now or not all(step.now for step in self.templates):
            return False
        ids = self._with_ids([id_of(self.application.now), *(id_of(step.now) for step in self.templates)])
        return ids == dict(zip(IDS, (self.settings.infobip_2fa_app_id, self.settings.infobip_2fa_msg_id), strict=True))

    @property
    def is_empty(self) -> bool:
        """Whether Infobip and the settings have everything."""
        return self.ids_are_set and not (self.application.changes or any(step.changes for step in self.templates))

    def lines(self) -> Iterator[str]:
        """For the operator."""
        yield from self.application.lines()
        for step in self.templates:
            yield from step.lines()
        yield f"Their ids are {'in the settings.' if self.ids_are_set else f'to be written into {ENV_FILE}.'}"

    def carry_out(self, account: Account) -> dict[str, str]:
        """Change what differs; returns the settings that have the ids.

        Raises:
            AccountError: Infobip did not do it. What was done before is found by the next plan.
        """
        application = self.application
        made = account.save_application(application.wanted) if application.changes else None
        ids = [id_of(application.now or made)]
        for step in self.templates:
            written = account.save_template(ids[0], step.wanted) if step.changes else None
            ids.append(id_of(step.now or written))
        return self._with_ids(ids)

    def _with_ids(self, ids: list[str]) -> dict[str, str]:
        """The settings with the ids of the application and the templates; INFOBIP_TEMPLATES only where it changes."""
        before = self.settings.infobip_templates
        after = {**before, "sms": {**before.get("sms", {}), **dict(zip(self.languages, ids[2:], strict=True))}}
        written = json.dumps(after, separators=(",", ":"))
        changed = {"INFOBIP_TEMPLATES": written} if self.languages and after != before else {}
        return {**dict(zip(IDS, ids, strict=False)), **changed}


def plan(settings: AccountSettings, account: Account, options: SetupOptions) -> Plan:
    """Look at what Infobip has, and say what has to change. Changes nothing.

    Raises:
        AccountError: Infobip does not show it.
    """
    application = _find_application(settings, account, options)
    templates = Templates(settings, options, account.templates(id_of(application)) if application else ())
    wanted = _wanted_application(settings, options, application or Application())
    default = templates.default()
    return Plan(settings, Step("application", application, wanted), default, dict(templates.languages(default)))


def _find_application(settings: AccountSettings, account: Account, options: SetupOptions) -> Application | None:
    """The one of the name that is asked for; if none is: the one that is configured, or one of the usual name."""
    configured = settings.infobip_2fa_app_id
    applications = [each for each in account.applications() if each.application_id]
    applications.sort(key=lambda each: each.application_id != configured)
    named = (each for each in applications if each.name == (options.name or NAME))
    if options.name is None and applications and applications[0].application_id == configured:
        return applications[0]
    return next(named, None)


def _wanted_application(settings: AccountSettings, options: SetupOptions, now: Application) -> Application:
    limits = {name: _no_tighter(rates) for name, rates in our_limits(settings).items()}
    verify = Rate(settings.pin_attempts, min(settings.waits[0], BURST))
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


def _no_tighter(ours: list[Rate]) -> str:
    longest = max(ours, key=lambda rate: rate.period)
    return str(Rate(longest.attempts, min(longest.period, YEAR)))
