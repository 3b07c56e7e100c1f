"""What each exception of redis-py means for the service. The only place that decides it."""

from redis import AuthenticationError, RedisError, ResponseError
from redis.exceptions import AskError, BusyLoadingError, ClusterDownError, NoScriptError, ReadOnlyError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

FAILURES = (RedisError, OSError, UnicodeError)  # all of them
UNREACHABLE = (RedisConnectionError, RedisTimeoutError, OSError)  # no server answers

# Errors that are replies, whatever redis-py derives them from. All other errors end the connection.
ERROR_REPLIES = (ResponseError, BusyLoadingError, AuthenticationError)
# The server cannot serve, for now or any more: a new connection may lead to another one.
WRONG_SERVER = (ReadOnlyError, BusyLoadingError, ClusterDownError, AuthenticationError)  # MASTERDOWN is a CLUSTERDOWN
# The server has not run the command, which may be repeated: in full, at another server, or over a new connection.
NOT_RUN = (*WRONG_SERVER, NoScriptError, AskError, TryAgainError)  # MOVED is an ASK
