"""A proxy that acts as a bad network between a client and the service."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests


class CuttingProxy(ThreadingHTTPServer):
    """Passes every request on, and cuts the connection instead of returning the first response."""

    def __init__(self, service_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.service_url = service_url
        self.answers: list[int] = []

    @classmethod
    @contextmanager
    def before(cls, service_url: str) -> Iterator["CuttingProxy"]:
        with cls(service_url) as proxy:
            thread = threading.Thread(target=proxy.serve_forever)
            thread.start()
            yield proxy
            proxy.shutdown()
            thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Exchange(BaseHTTPRequestHandler):
    server: CuttingProxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kept = {name: value for name, value in self.headers.items() if name not in ("Host", "Connection")}
        headers = {**kept, "Connection": "close"}
        answer = requests.post(self.server.service_url + self.path, data=body, headers=headers, timeout=20)
        self.server.answers.append(answer.status_code)
        self.close_connection = True
        if len(self.server.answers) > 1:
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        pass
