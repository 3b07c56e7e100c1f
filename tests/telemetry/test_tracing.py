"""Traces: a request and its calls to Infobip and Redis are one trace, which holds no secret."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import redis
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app import create_app
from config import Settings
from otp.telemetry import tracing
from tests.support import upstream as up
from tests.support.command import eventually
from tests.support.running import ACCOUNT, Service
from tests.support.upstream import PIN_ID, Upstream

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def spans() -> Iterator[Callable[[], list[ReadableSpan]]]:
    """A function that returns the spans that ended since its last call."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)

    def taken() -> list[ReadableSpan]:
        finished = list(exporter.get_finished_spans())
        exporter.clear()
        return finished

    yield taken
    tracing.use(None)
    provider.shutdown()


def test_a_request_is_one_trace_to_infobip_and_redis(
    spans: Callable[[], list[ReadableSpan]], upstream: Upstream, database: redis.Redis, redis_url: str, phone: str
) -> None:
    account = {name.lower(): value for name, value in ACCOUNT.items()}
    app = create_app(Settings(**account, infobip_base_url=upstream.url, redis_url=redis_url))
    client = app.test_client()
    seen: list[list[ReadableSpan]] = []
    upstream.script.extend([up.answer(up.SENT), up.answer(up.WRONG), up.error(400, "BAD_REQUEST", "")])
    requests: tuple[tuple[str, dict[str, str]], ...]
    requests = (("/send-otp", {}), ("/verify-otp", {"pin": "918273"}), ("/verify-otp", {"pin": "918273"}))
    for path, more in requests:
        client.post(path, json={"phoneNumber": phone, **more}, headers={"traceparent": PARENT})
        seen.append(spans())
    for of_one, path, verb in zip(seen, [path for path, _ in requests], ["send", "verify", "verify"], strict=True):
        (request,) = [span for span in of_one if span.name == f"POST {path}"]
        assert request.parent
        assert f"{request.parent.span_id:016x}" == PARENT.split("-")[2]
        below = [span for span in of_one if span is not request]
        assert {span.name for span in below} == {"redis", f"infobip {verb}"}
        assert {span.parent.span_id for span in below if span.parent} == {request.context.span_id}
        assert {f"{span.context.trace_id:032x}" for span in of_one} == {PARENT.split("-")[1]}
    written = "".join(span.to_json() for of_one in seen for span in of_one)
    for secret in (phone[1:], phone[1:-2], "918273", PIN_ID, "sandbox-api-key"):
        assert secret not in written
    (refused,) = [span for span in seen[2] if span.name == "infobip verify"]
    assert refused.attributes == {"otp.operation": "verify"}, "an unknown PIN is an answer"


def test_a_failed_call_has_its_error_type(
    spans: Callable[[], list[ReadableSpan]], upstream: Upstream, database: redis.Redis, redis_url: str, phone: str
) -> None:
    account = {name.lower(): value for name, value in ACCOUNT.items()}
    app = create_app(Settings(**account, infobip_base_url=upstream.url, redis_url=redis_url))
    upstream.script.append(up.error(500, "GENERAL_ERROR"))
    assert app.test_client().post("/send-otp", json={"phoneNumber": phone}).status_code == 504
    ended = spans()
    (call,) = [span for span in ended if span.name == "infobip send"]
    assert call.attributes == {"otp.operation": "send", "error.type": "provider_timeout"}
    (request,) = [span for span in ended if span.name == "POST /send-otp"]
    assert request.attributes == {
        "http.route": "/send-otp",
        "http.response.status_code": 504,
        "otp.outcome": "provider_timeout",
        "error.type": "provider_timeout",
    }
    assert not request.status.is_ok


class Collector:
    """Receives spans that are exported with OTLP over HTTP."""

    def __enter__(self) -> "Collector":
        self.spans: list[tuple[str, str]] = []  # the name of the service, and that of the span
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                for of in ExportTraceServiceRequest.FromString(body).resource_spans:
                    names = {a.key: a.value.string_value for a in of.resource.attributes}
                    collector.spans += [(names["service.name"], s.name) for part in of.scope_spans for s in part.spans]
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.mark.parametrize("named", [{}, {"OTEL_SERVICE_NAME": "shop-otp"}])
def test_the_standard_variables_make_the_service_export(
    tmp_path: Path, upstream: Upstream, redis_url: str, database: redis.Redis, phone: str, named: dict[str, str]
) -> None:
    settings = {"INFOBIP_BASE_URL": upstream.url, "REDIS_URL": redis_url, **named}
    with Collector() as collector:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        with Service.started(tmp_path, {**settings, **traced}) as service:
            answer = service.send(phone)
            service.log_with(answer)
            eventually(lambda: {"POST /send-otp", "redis", "infobip send"} <= {name for _, name in collector.spans})
    assert {service_name for service_name, _ in collector.spans} == {named.get("OTEL_SERVICE_NAME", "infobip-otp")}
    (line,) = service.lines(event="request", request_id=answer.headers["X-Request-ID"])
    assert len(line["trace_id"]) == 32


def test_a_stop_exports_the_remaining_spans(
    tmp_path: Path, upstream: Upstream, redis_url: str, database: redis.Redis, phone: str
) -> None:
    with Collector() as collector:
        settings = {"INFOBIP_BASE_URL": upstream.url, "REDIS_URL": redis_url, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
        with Service.started(tmp_path, {**settings, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}) as service:
            service.send(phone)
            assert collector.spans == []
    assert {"POST /send-otp", "redis", "infobip send"} <= {name for _, name in collector.spans}


@pytest.mark.parametrize("off", [{}, {"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_nothing_is_exported_without_the_settings(
    tmp_path: Path, upstream: Upstream, redis_url: str, database: redis.Redis, phone: str, off: dict[str, str]
) -> None:
    settings = {"INFOBIP_BASE_URL": upstream.url, "REDIS_URL": redis_url}
    with Collector() as collector:
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url} if off else {}
        with Service.started(tmp_path, {**settings, **endpoint, **off}) as service:
            service.log_with(service.send(phone))
    assert collector.spans == []
    assert "trace_id" not in service.log()


def test_without_the_packages_the_service_runs_and_logs_it(
    tmp_path: Path, upstream: Upstream, redis_url: str, database: redis.Redis, phone: str
) -> None:
    missing = tmp_path / "missing/opentelemetry"
    missing.mkdir(parents=True)
    (missing / "__init__.py").write_text("raise ImportError\n")
    settings = {"INFOBIP_BASE_URL": upstream.url, "REDIS_URL": redis_url, "PYTHONPATH": str(missing.parent)}
    with Service.started(tmp_path, {**settings, "OTEL_TRACES_EXPORTER": "otlp"}) as service:
        assert service.send(phone).status_code == 200
        eventually(lambda: "no traces without the packages of OpenTelemetry" in service.log())
    assert "Traceback" not in service.log()
