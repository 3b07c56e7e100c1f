"""What `flask infobip setup` wants the account to be, and what has to change for it."""

from collections.abc import Iterator
from typing import NamedTuple

from commands.steps import Step, id_of
from infobip.account import Account, Application, Configuration, Template
from infobip.comparison import our_limits
from infobip.notation import Rate, duration
from settings.account import AccountSettings
from settings.section import ENV_FILE

NAME = "OTP service"
TEXT = "{{pin}} is your verification code."
YEAR = 365 * 86400.0  # no limit's period may be longer
BURST = 3.0  # seconds; nobody types so fast that another PIN's guesses could be refused


class Wishes(NamedTuple):
    """What the operator asked for; None leaves it as it is, or as it is usual."""

    name: str | None = None
    text: str | None = None
    sender: str | None = None


class Plan(NamedTuple):
    """What has to be done."""

    application: Step[Application]
    template: Step[Template]
    ids_are_set: bool

    @property
    def is_empty(self) -> bool:
        """Whether Infobip and the settings have everything."""
        return self.ids_are_set and not (self.application.changes or self.template.changes)

    def lines(self) -> Iterator[str]:
        """For the operator."""
        yield from self.application.lines()
        yield from self.template.lines()
        yield f"Their ids are {'in the settings.' if self.ids_are_set else f'to be written into {ENV_FILE}.'}"

    def carry_out(self, account: Account) -> tuple[str, str]:
        """Change what differs; returns the ids of the application and the template.

        Raises:
            AccountError: Infobip did not do it. What was done before is found by the next plan.
        """
        application, template = self.application, self.template
        made = account.save_application(application.wanted) if application.changes else None
        application_id = id_of(application.now or made)
        written = account.save_template(application_id, template.wanted) if template.changes else None
        return application_id, id_of(template.now or written)


def plan(settings: AccountSettings, account: Account, wishes: Wishes) -> Plan:
    """Look at what Infobip has, and say what has to change. Changes nothing.

    Raises:
        AccountError: Infobip does not show it.
    """
    application = _find_application(settings, account, wishes)
    template = _find_template(settings, account, wishes, application)
    return Plan(
        Step("application", application, _wanted_application(settings, wishes, application or Application())),
        Step("message template", template, _wanted_template(settings, wishes, template or Template())),
        ids_are_set=bool(application and template)
        and (settings.infobip_2fa_app_id, settings.infobip_2fa_msg_id) == (id_of(application), id_of(template)),
    )


def _find_application(settings: AccountSettings, account: Account, wishes: Wishes) -> Application | None:
    """The one of the name that is asked for; if none is: the one that is configured, or one of the usual name."""
    configured = settings.infobip_2fa_app_id
    applications = [each for each in account.applications() if each.application_id]
    applications.sort(key=lambda each: each.application_id != configured)
    named = (each for each in applications if each.name == (wishes.name or NAME))
    if wishes.name is None and applications and applications[0].application_id == configured:
        return applications[0]
    return next(named, None)


def _find_template(
    settings: AccountSettings, account: Account, wishes: Wishes, application: Application | None
) -> Template | None:
    """The configured one, if it is of this application; else one with the same text. Never one for email."""
    if application is None:
        return None
    configured, templates = settings.infobip_2fa_msg_id, account.templates(id_of(application))
    usable = [each for each in templates if each.message_id and each.message_text is not None]
    usable.sort(key=lambda each: each.message_id != configured)
    fits = (each for each in usable if each.message_id == configured or each.message_text == (wishes.text or TEXT))
    return next(fits, None)


def _wanted_application(settings: AccountSettings, wishes: Wishes, now: Application) -> Application:
    limits = {name: _no_tighter(rate) for name, rate in our_limits(settings).items()}
    verify = Rate(settings.pin_attempts, min(settings.waits[0], BURST))
    configuration = Configuration(
        pin_attempts=settings.pin_attempts,
        allow_multiple_pin_verifications=False,
        pin_time_to_live=duration(settings.pin_time_to_live),
        **{**limits, "verify_pin_limit": str(verify)},
    )
    return Application(
        application_id=now.application_id,
        name=wishes.name or now.name or NAME,
        enabled=True,
        configuration=configuration,
    )


def _wanted_template(settings: AccountSettings, wishes: Wishes, now: Template) -> Template:
    kept = now.message_text if "{{pin}}" in (now.message_text or "") else None
    return now.model_copy(
        update={
            "message_text": wishes.text or kept or TEXT,
            "pin_length": settings.pin_length,
            "pin_type": settings.pin_type,
            "sender_id": wishes.sender or now.sender_id,
        }
    )


def _no_tighter(ours: Rate) -> str:
    return str(Rate(ours.attempts, min(ours.period, YEAR)))
