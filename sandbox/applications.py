"""Keeps the applications of an account and their message templates in memory. All methods are thread-safe."""

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
from sandbox.quirks import Quirks

KEPT = 1000  # the largest number of applications, and of templates in each


def new_id() -> str:
    """A new id in Infobip's format."""
    return secrets.token_hex(16).upper()


class Applications:
    """The resources under `/2fa/2/applications`. Methods raise ApiError 404 for unknown ids."""

    def __init__(self, quirks: Quirks) -> None:
        self._merge = quirks.updates == "merge"
        self._needs_pin = quirks.text_without_pin == "refused"
        self._lock = threading.Lock()
        self._applications: dict[str, Application] = {}
        self._templates: dict[str, dict[str, Template | EmailTemplate]] = {}

    def add(self, application: Application, *templates: Template | EmailTemplate) -> None:
        """Keep an application and its templates; they replace an older application with the same id."""
        with self._lock:
            self._applications[application.application_id] = application
            self._templates[application.application_id] = {t.message_id: t for t in templates}

    def all(self) -> list[Application]:
        """All applications, the oldest first."""
        with self._lock:
            return list(self._applications.values())

    def get(self, application_id: str) -> Application:
        """One application."""
        with self._lock:
            if application_id not in self._applications:
                raise not_found()
            return self._applications[application_id]

    def create(self, request: ApplicationRequest) -> Application:
        """Create an application."""
        if len(self.all()) >= KEPT:
            raise bad_request(name=f"the sandbox keeps at most {KEPT} applications")
        application = Application(application_id=new_id(), **dict(request))
        self.add(application)
        return application

    def update(self, application_id: str, request: ApplicationRequest) -> Application:
        """Update an application."""
        old, new = self.get(application_id), request.explicit_values() if self._merge else dict(request)
        if self._merge and "configuration" in new:
            new["configuration"] = old.configuration.copy_with(request.configuration.explicit_values())
        with self._lock:
            self._applications[application_id] = old.copy_with(new)
            return self._applications[application_id]

    def templates(self, application_id: str) -> list[Template | EmailTemplate]:
        """All templates of an application, the oldest first."""
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
        """Create a template."""
        self._check_text(request)
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
        """Update a template. By Infobip's documents, omitted fields keep their values."""
        old = self.template(application_id, message_id)
        if isinstance(old, Template) != isinstance(request, TemplateUpdate):
            raise not_found()
        self._check_text(request)
        with self._lock:
            self._templates[application_id][message_id] = new = old.copy_with(request.explicit_values())
        return new

    def _check_text(self, request: TemplateUpdate | EmailTemplateUpdate) -> None:
        text = request.message_text if isinstance(request, TemplateUpdate) else None
        if self._needs_pin and text is not None and "{{pin}}" not in text:
            raise bad_request(messageText="must contain {{pin}}")
