"""What redis-py raises, sorted by what it means here. The one place that decides it."""

from redis import AuthenticationError, RedisError, ResponseError
from redis.exceptions import AskError, BusyLoadingError, ClusterDownError, NoScriptError, ReadOnlyError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

FAILURES = (RedisError, OSError, UnicodeError)  # everything
UNREACHABLE = (RedisConnectionError, RedisTimeoutError, OSError)  # nobody answers

# Errors that are replies, whatever redis-py derives them from. The others are the connection's end.
ERROR_REPLIES = (ResponseError, BusyLoadingError, AuthenticationError)
# A server that answers so is not, or no longer, the one to ask: a new connection may lead to another one.
WRONG_SERVER = (ReadOnlyError, BusyLoadingError, ClusterDownError, AuthenticationError)  # MASTERDOWN is a CLUSTERDOWN
# Whoever answers so has not run the command: it may be asked again, in full, elsewhere, or over a new connection.
NOT_RUN = (*WRONG_SERVER, NoScriptError, AskError, TryAgainError)  # MOVED is an ASK
