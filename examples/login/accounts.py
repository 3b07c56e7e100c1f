"""Users and their second factors in SQLite. Each decision is one statement, so that two requests cannot share it."""

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pyotp

DATABASE = os.environ.get("LOGIN_DATABASE") or Path(__file__).with_name("login.sqlite3")
GUESSES, PERIOD = 5, 3600  # second factors that one person may get wrong in so many seconds
NOBODY: dict[str, Any] = {"id": 0, "totp_secret": None, "salt": b"salt"}

with closing(sqlite3.connect(DATABASE)) as connection:
    connection.executescript(Path(__file__).with_name("schema.sql").read_text())


def run(sql: str, *values: Any) -> Any:
    """Run a statement in a transaction of its own; the first row that it returns, or None."""
    with closing(sqlite3.connect(DATABASE, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(sql, values).fetchone()


def may_guess(who: str) -> bool:
    """Count a guess before it is judged, so that guesses at the same time are counted, too."""
    run("DELETE FROM guesses WHERE made_at < ?", time.time() - PERIOD)
    sql = "INSERT INTO guesses SELECT ?, ? WHERE (SELECT count(*) FROM guesses WHERE who = ?) < ? RETURNING 1"
    return bool(run(sql, who, time.time(), who, GUESSES))


def use_code(user: Any, typed: str) -> bool:
    """Whether it is a code of the user's app or a backup code; each counts once. For None, nobody, it takes as long."""
    user, code = user or NOBODY, re.sub(r"[\W_]", "", typed).upper()
    step = time_step(user["totp_secret"] or pyotp.random_base32(), code)
    newer = "UPDATE users SET totp_step = ? WHERE id = ? AND totp_secret = ? AND totp_step < ? RETURNING 1"
    unused = "DELETE FROM backup_codes WHERE user_id = ? AND hash = ? RETURNING 1"
    is_of_app = run(newer, step, user["id"], user["totp_secret"], step)
    return bool(is_of_app or run(unused, user["id"], slow_hash(code, user["salt"])))


def time_step(secret: str, code: str) -> int:
    """The 30 seconds since 1970 that `code` is for: these, those before or the next ones, as clocks differ; else 0."""
    now, totp = int(time.time()) // 30, pyotp.TOTP(secret)
    right = [n for n in (now - 1, now, now + 1) if hmac.compare_digest(totp.generate_otp(n).encode(), code.encode())]
    return max(right, default=0)


def slow_hash(code: str, salt: bytes) -> str:
    return hashlib.scrypt(code.encode(), salt=salt, n=2**14, r=8, p=1).hex()


def add_authenticator(user: Any, secret: str, typed: str) -> Any:
    """The user with second factors, once a code shows that the app has the secret; else None."""
    sql = "UPDATE users SET totp_secret = ?, totp_step = ?, epoch = epoch + 1 WHERE id = ? AND totp_secret IS NULL"
    step = time_step(secret, re.sub(r"\s", "", typed))
    return run(f"{sql} RETURNING *", secret, step, user["id"]) if step else None


def new_backup_codes(user: Any) -> list[str]:
    """Ten codes of 60 random bits; only their hashes are kept."""
    codes = [base64.b32encode(secrets.token_bytes(10)).decode()[:12] for _ in range(10)]
    hashes = json.dumps([slow_hash(code, user["salt"]) for code in codes])
    run("INSERT INTO backup_codes SELECT ?, value FROM json_each(?)", user["id"], hashes)
    return ["-".join(re.findall("....", code)) for code in codes]
