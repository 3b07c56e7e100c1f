"""A name server like Docker's: one name, and its current addresses."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class NameServer:
    """Answers every question for an address with all of `addresses` (IPv4)."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.addresses: list[str] = []
        self.asked = 0

    @classmethod
    @contextmanager
    def started(cls) -> Iterator["NameServer"]:
        class Answering(socketserver.DatagramRequestHandler):
            def handle(self) -> None:
                self.wfile.write(names.answer(self.rfile.read()))

        with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Answering) as server:
            names = cls(server.server_address[1])
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield names
            server.shutdown()
            thread.join()

    def answer(self, query: bytes) -> bytes:
        """Return the question and one record for each address, with a lifetime of one second (RFC 1035, 4.1)."""
        self.asked += 1
        question = query[12 : query.index(0, 12) + 5]
        counts = [1, len(self.addresses), 0, 0]
        head = query[:2] + b"\x81\x80" + b"".join(count.to_bytes(2) for count in counts)
        record = b"\xc0\x0c\x00\x01\x00\x01" + (1).to_bytes(4) + (4).to_bytes(2)
        return head + question + b"".join(record + socket.inet_aton(each) for each in self.addresses)
