"""Whether the service shows what it takes and answers."""

from typing import Literal

from otp.settings.section import Section


class DocsSettings(Section):
    """The page at /docs. The contract itself, /openapi.json, is always there: it is public."""

    docs: Literal["on", "off"] = "on"
