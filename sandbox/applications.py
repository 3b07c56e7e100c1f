"""The applications of an account and their message templates. In memory; every method from any thread."""

import secrets
import threading

from sandbox.api_error import bad_request, not_found
from sandbox.model import (
    Application,
    ApplicationRequest,
    EmailTemplate,
    EmailTemplateRequest,
    EmailTemplateUpdate,
    Template,
    TemplateRequest,
    TemplateUpdate,
)
from sandbox.quirks import Choices

KEPT = 1000  # applications, and templates of each


def new_id() -> str:
    """An id as Infobip makes them."""
    return secrets.token_hex(16).upper()


class Applications:
    """What `/2fa/2/applications` keeps. Raises ApiError 404 for whatever is not there."""

    def __init__(self, choices: Choices) -> None:
        self._merge = choices.updates == "merge"
        self._needs_pin = choices.text_without_pin == "refused"
        self._lock = threading.Lock()
        self._applications: dict[str, Application] = {}
        self._templates: dict[str, dict[str, Template | EmailTemplate]] = {}

    def add(self, application: Application, *templates: Template | EmailTemplate) -> None:
        """Keep an application with its templates, in the place of an older one of the same id."""
        with self._lock:
            self._applications[application.application_id] = application
            self._templates[application.application_id] = {t.message_id: t for t in templates}

    def all(self) -> list[Application]:
        """Every application, oldest first."""
        with self._lock:
            return list(self._applications.values())

    def get(self, application_id: str) -> Application:
        """One application."""
        with self._lock:
            if application_id not in self._applications:
                raise not_found()
            return self._applications[application_id]

    def create(self, request: ApplicationRequest) -> Application:
        """Make an application."""
        if len(self.all()) >= KEPT:
            raise bad_request(name=f"the sandbox keeps at most {KEPT} applications")
        application = Application(application_id=new_id(), **dict(request))
        self.add(application)
        return application

    def update(self, application_id: str, request: ApplicationRequest) -> Application:
        """Change an application."""
        old, new = self.get(application_id), request.given() if self._merge else dict(request)
        if self._merge and "configuration" in new:
            new["configuration"] = old.configuration.changed(request.configuration.given())
        with self._lock:
            self._applications[application_id] = old.changed(new)
            return self._applications[application_id]

    def templates(self, application_id: str) -> list[Template | EmailTemplate]:
        """Every template of an application, oldest first."""
        self.get(application_id)
        with self._lock:
            return list(self._templates[application_id].values())

    def template(self, application_id: str, message_id: str) -> Template | EmailTemplate:
        """One template."""
        self.get(application_id)
        with self._lock:
            if message_id not in self._templates[application_id]:
                raise not_found()
            return self._templates[application_id][message_id]

    def create_template(
        self, application_id: str, request: TemplateRequest | EmailTemplateRequest
    ) -> Template | EmailTemplate:
        """Make a template."""
        self._may_say(request)
        if len(self.templates(application_id)) >= KEPT:
            raise bad_request(messageText=f"the sandbox keeps at most {KEPT} templates of an application")
        kind = Template if isinstance(request, TemplateRequest) else EmailTemplate
        template = kind(message_id=new_id(), application_id=application_id, **dict(request))
        with self._lock:
            self._templates[application_id][template.message_id] = template
        return template

    def update_template(
        self, application_id: str, message_id: str, request: TemplateUpdate | EmailTemplateUpdate
    ) -> Template | EmailTemplate:
        """Change a template. What a request leaves out stays, by Infobip's own words."""
        old = self.template(application_id, message_id)
        if isinstance(old, Template) != isinstance(request, TemplateUpdate):
            raise not_found()
        self._may_say(request)
        with self._lock:
            self._templates[application_id][message_id] = new = old.changed(request.given())
        return new

    def _may_say(self, request: TemplateUpdate | EmailTemplateUpdate) -> None:
        text = request.message_text if isinstance(request, TemplateUpdate) else None
        if self._needs_pin and text is not None and "{{pin}}" not in text:
            raise bad_request(messageText="must contain {{pin}}")
