"""People log in at a steady rate while something is done to the service. Each has an address and a number."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests

from tests.support.command import eventually
from tests.support.docker import DockerHost
from tests.support.proxied import From

INBOX = "http://127.0.0.1:3001/inbox"  # of the sandbox, as the host sees it
THREADS, PAUSE = 6, 0.2  # seconds between two people of a thread: 20 people in a second at most
MOST_PEOPLE = 3000
SOME = 2 * THREADS
PATIENCE = 20  # seconds for one response, and for a PIN to be accepted at last
_numbers = itertools.count(1)


@dataclass
class Answer:
    """The response to one request. The status is 0 if there was none, and `code` is then the error."""

    path: str
    began: float
    ended: float
    status: int
    code: str
    body: dict[str, object]


@dataclass
class Person:
    """A person, and the responses to their requests, in order."""

    number: int
    url: str
    answers: list[Answer] = field(default_factory=list)

    @property
    def phone(self) -> str:
        """The numbers are spread over many ranges, so that the guard does not see one range."""
        return f"+49151{self.number * 7919 % 10**8:08}"

    def send(self) -> Answer:
        return self._post("/send-otp", phoneNumber=self.phone)

    def verify(self, pin: str) -> Answer:
        return self._post("/verify-otp", phoneNumber=self.phone, pin=pin)

    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.status != 200]

    def _post(self, path: str, **body: str) -> Answer:
        began = time.monotonic()
        try:
            with requests.Session() as session:
                session.mount("http://", From(f"10.99.{self.number >> 8}.{self.number & 255}"))
                response = session.post(f"{self.url}{path}", json=body, timeout=PATIENCE)
            said = response.json()
            answer = Answer(path, began, time.monotonic(), response.status_code, said.get("code", ""), said)
        except requests.RequestException as e:
            answer = Answer(path, began, time.monotonic(), 0, repr(e), {})
        self.answers.append(answer)
        return answer


class LoginLoad:
    """The load on `url`, and its results when it has ended."""

    def __init__(self, host: DockerHost, url: str) -> None:
        self._host, self._url = host, url
        self._stop = threading.Event()
        self._crashes: list[BaseException] = []
        self.people: list[Person] = []
        self.during = 0  # how many people began while the block of `running` ran

    @contextmanager
    def running(self) -> Iterator[None]:
        """Log people in during the block, and some before and after it. Everyone finishes."""
        threads = [threading.Thread(target=self._run, daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            self._wait_for(SOME)
            before = len(self.people)
            yield
            self.during = len(self.people) - before
            self._wait_for(SOME)
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(2 * PATIENCE)
        assert self._crashes == []

    def _wait_for(self, more: int) -> None:
        enough = len(self.people) + more
        eventually(lambda: self._crashes or len(self.people) >= enough)

    def person(self) -> Person:
        """Add a person."""
        person = Person(next(_numbers), self._url)
        self.people.append(person)
        return person

    def log_in(self, person: Person) -> None:
        if self.get_pin(person):
            self.use_pin(person)

    def get_pin(self, person: Person) -> bool:
        with self._host.clients.entered():
            return person.send().status == 200

    def use_pin(self, person: Person) -> None:
        """Verify the newest PIN, and try again while the service answers 503."""
        pins = self.pins(person)
        until = time.monotonic() + PATIENCE
        with self._host.clients.entered():
            while person.verify(pins[0]).status == 503 and time.monotonic() < until:
                time.sleep(0.2)

    def pins(self, person: Person) -> list[str]:
        """Return the PINs that arrived on the person's phone, newest first."""
        with self._host.inside.entered():
            messages = requests.get(INBOX, {"to": person.phone}, timeout=PATIENCE).json()["messages"]
        return [message["pin"] for message in messages]

    def _run(self) -> None:
        try:
            while not self._stop.wait(PAUSE) and len(self.people) < MOST_PEOPLE:
                self.log_in(self.person())
        except BaseException as e:
            self._crashes.append(e)

    def failed(self) -> list[Answer]:
        return [answer for person in self.people for answer in person.failed()]
