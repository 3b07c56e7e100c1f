"""Traces by OpenTelemetry, where its packages are installed and its environment variables ask for them.

The spans are made here and not by OpenTelemetry's instrumentations, which write commands and URLs, and with them phones
and pinIds, into spans. These have a name and a few attributes with a bounded set of values.
"""

import logging
import os
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import Headers

from otp import VERSION, shutdown
from otp.request_record import current

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer, TracerProvider

log = logging.getLogger("otp.tracing")

_VARIABLES = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_tracer: "Tracer | None" = None


def is_requested() -> bool:
    """Whether the environment asks for traces, as https://opentelemetry.io/docs/specs/otel/configuration has it."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not off and any(os.environ.get(name) for name in _VARIABLES)


def set_up() -> None:
    """Trace from now on, if the environment asks for it. Call it in the process that serves, not before a fork."""
    if not is_requested():
        return
    try:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        log.warning('no traces without the packages of OpenTelemetry: see "Traces" in the documentation')
        return
    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    name = {} if named else {"service.name": "infobip-otp"}
    resource = Resource.create({**name, "service.version": VERSION})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_exporter()))
    shutdown.add(shutdown.Step.SEND_SPANS, provider.shutdown)
    use(provider)


def _exporter() -> Any:
    name = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    (found,) = entry_points(group="opentelemetry_traces_exporter", name="otlp_proto_http" if name == "otlp" else name)
    return found.load()()


def use(provider: "TracerProvider | None") -> None:
    """Have `provider` make the spans; with None there are no spans."""
    global _tracer  # noqa: PLW0603  one in a process, like the loggers
    _tracer = provider.get_tracer("infobip-otp", VERSION) if provider else None


def is_on() -> bool:
    """Whether requests are traced."""
    return _tracer is not None


def start_request(name: str, headers: Headers) -> "Span | None":
    """Start the span of a request, in the trace that its headers name. Its route is known only when it ends."""
    if _tracer is None:
        return None
    from opentelemetry import propagate, trace  # noqa: PLC0415

    return _tracer.start_span(name, propagate.extract(headers), trace.SpanKind.SERVER)


def start(name: str, attributes: Mapping[str, str]) -> "Span | None":
    """Start a span within the span of the request that runs here; None without one."""
    parent = current().span
    if _tracer is None or parent is None:
        return None
    from opentelemetry import trace  # noqa: PLC0415

    return _tracer.start_span(name, trace.set_span_in_context(parent), trace.SpanKind.CLIENT, attributes)


def end(span: "Span | None", failed: str = "", attributes: Mapping[str, Any] | None = None, name: str = "") -> None:
    """End `span`; `failed` is a word for how it went wrong. A `name` replaces the one that it began with."""
    if span is None:
        return
    if name:
        span.update_name(name)
    from opentelemetry.trace import StatusCode  # noqa: PLC0415

    span.set_attributes({**(attributes or {}), **({"error.type": failed} if failed else {})})
    if failed:
        span.set_status(StatusCode.ERROR)
    span.end()
