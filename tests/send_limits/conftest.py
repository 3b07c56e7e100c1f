"""What the tests of more than one limit start."""

from collections.abc import Callable

import pytest
import redis

from tests.support.running import Sandbox, Service

Start = Callable[..., Service]


@pytest.fixture
def guarded(start: Start, database: redis.Redis, sandbox: Sandbox) -> Service:
    """The service with its guard as it is by default, and no limit by address."""
    return start(sandbox.url, FRAUD_GUARD="block")
