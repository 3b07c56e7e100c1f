"""The fixture that the tests of several limits share."""

from collections.abc import Callable

import pytest
import redis

from tests.support.running import Sandbox, Service

Start = Callable[..., Service]


@pytest.fixture
def guarded(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with the fraud guard in its default settings, and without rate limits by address."""
    return start(sandbox.url, FRAUD_GUARD="block")
