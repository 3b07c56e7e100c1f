"""Plans the change of the template of e-mails. Its subject and text are in a template of Infobip's portal."""

from collections.abc import Sequence

from cli.account_setup.changes import Change
from cli.account_setup.template_changes import Place, SetupOptions
from config import AccountSettings
from otp.infobip.account import Template


def email_changes(
    settings: AccountSettings, options: SetupOptions, templates: Sequence[Template]
) -> dict[Place, Change[Template]]:
    """The change of the configured template, or of the requested one; none if there is neither."""
    mails = [each for each in templates if each.message_id and each.email_template_id]
    now = _find(settings, options, mails)
    if now is None and options.email_template is None:
        return {}
    like = now or Template()
    new = {
        "email_template_id": options.email_template or like.email_template_id,
        "from_": options.email_sender or like.from_,
        "pin_length": settings.pin_length,
        "pin_type": settings.pin_type,
    }
    return {("email", ""): Change("message template for e-mails", now, like.model_copy(update=new))}


def _find(settings: AccountSettings, options: SetupOptions, mails: Sequence[Template]) -> Template | None:
    """The configured template; otherwise an unused one of the same template in the portal."""
    configured = (each for each in mails if each.message_id == settings.infobip_2fa_email_msg_id)
    used = settings.infobip_templates.get("email", {}).values()
    same = (each for each in mails if each.email_template_id == options.email_template and each.message_id not in used)
    return next(configured, None) or next(same, None)
