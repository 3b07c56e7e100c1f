"""A website with a login by phone number, authenticator app and backup codes: see docs/login.md."""

import base64
import hmac
import os
import secrets
import time
from typing import Any
from urllib.parse import urlsplit

import pyotp
import segno
from accounts import add_authenticator, may_guess, new_backup_codes, run, use_code
from flask import Flask, Response, abort, g, redirect, render_template, request, session, url_for
from proof import PURPOSE, SERVICE, verified_phone

URL = os.environ.get("LOGIN_URL", "http://localhost:8080")
KEY = os.environ.get("SECRET_KEY") or secrets.token_hex()
LEVELS = {  # of sessions: how many seconds they last, their page, which views they may use
    "anonymous": (3600, "phone.html", {"home", "log_in", "recover"}),
    "phone": (900, "second_factor.html", {"home", "second_factor", "log_out"}),
    "recovery": (900, "phone.html", {"home", "set_phone", "log_out"}),
    "full": (43200, "account.html", {"home", "authenticator", "remove_authenticator", "log_out"}),
}
POLICY = f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src {SERVICE}; form-action 'self'; "
POLICY += "frame-ancestors 'none'; base-uri 'none'"

app = Flask(__name__)
app.config.update(
    SECRET_KEY=KEY,
    SESSION_COOKIE_NAME="__Host-session" if URL.startswith("https:") else "session",
    SESSION_COOKIE_SECURE=URL.startswith("https:"),
    SESSION_COOKIE_SAMESITE="Lax",
    TRUSTED_HOSTS=[urlsplit(URL).hostname],
    MAX_CONTENT_LENGTH=16 * 1024,
)


@app.before_request
def open_session() -> Any:
    if request.endpoint in (None, "static"):
        return None
    g.user = run("SELECT * FROM users WHERE id = ?", session.get("user_id"))
    if time.time() > session.get("ends_at", 0) or session["epoch"] != (g.user and g.user["epoch"]):
        begin_session("anonymous")
    if request.method == "POST" and not hmac.compare_digest(request.form["csrf"].encode(), session["csrf"].encode()):
        abort(400, "This page is too old. Please go back, load it again and repeat what you did.")
    return None if request.endpoint in LEVELS[session["level"]][2] else redirect(url_for("home"), 303)


def begin_session(level: str, user: Any = None) -> Any:
    """In place of the old one, of which nothing stays."""
    session.clear()
    session.update(level=level, user_id=user and user["id"], epoch=user and user["epoch"])
    session.update(csrf=secrets.token_urlsafe(), nonce=secrets.token_urlsafe(), ends_at=time.time() + LEVELS[level][0])
    g.user = user
    return redirect(url_for("home"), 303)


@app.after_request
def protect(response: Response) -> Response:
    response.headers.update({"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin"})
    response.headers["Cache-Control"] = "no-store"
    return response


@app.get("/", endpoint="home")
def page(template: str = "", **shown: Any) -> str:
    template = template or LEVELS[session["level"]][1]
    return render_template(template, user=g.user, service=SERVICE, purpose=PURPOSE, **shown)


@app.errorhandler(403)
def refuse(error: Any) -> tuple[str, int]:
    return page(error=error.description), 403


def proven_phone() -> str:
    phone = verified_phone(request.form["proof"], session["nonce"])
    return phone or abort(403, "Your phone number could not be confirmed. Please request a new code.")


def require_code(user: Any, *who: str) -> None:
    """Refuse, unless a second factor of `user` was typed. Each in `who` has a few guesses."""
    if not all(may_guess(each) for each in who):
        abort(403, "Too many wrong codes. Please try again in an hour.")
    if not use_code(user, request.form["code"]):
        abort(403, "This code is wrong, or was used before.")
    run("DELETE FROM guesses WHERE who = ?", who[-1])


@app.post("/login")
def log_in() -> Any:
    """A number that is proven for the first time gets an account, so nobody learns who has one."""
    sql = "INSERT INTO users (phone, salt) VALUES (?, ?) ON CONFLICT (phone) DO UPDATE SET phone = phone RETURNING *"
    user = run(sql, proven_phone(), secrets.token_bytes(16))
    return begin_session("phone" if user["totp_secret"] else "full", user)


@app.post("/second-factor")
def second_factor() -> Any:
    require_code(g.user, f"user {g.user['id']}")
    return begin_session("full", g.user)


@app.post("/recover")
def recover() -> Any:
    """A second factor in place of the lost phone: to set a new number, and for nothing else."""
    phone = "+" + "".join(filter(str.isdigit, request.form["phone"]))
    user = run("SELECT * FROM users WHERE phone = ?", phone)
    require_code(user, f"address {request.remote_addr}", f"number {phone}")
    return begin_session("recovery", user)


@app.post("/phone")
def set_phone() -> str:
    sql = "UPDATE OR IGNORE users SET phone = ?, epoch = epoch + 1 WHERE id = ? RETURNING 1"
    if not run(sql, proven_phone(), g.user["id"]):
        abort(403, "This number has an account of its own. Please take another one.")
    begin_session("anonymous")
    return page(said="Your new phone number is set. Please log in with it.")


@app.route("/authenticator", methods=["GET", "POST"])
def authenticator() -> str:
    if time.time() > session["ends_at"] - LEVELS["full"][0] + 600:  # else a stolen session could add the thief's app
        abort(403, "To add an authenticator app, please log out and log in again.")
    secret = base64.b32encode(hmac.digest(KEY.encode(), session["csrf"].encode(), "sha1")).decode()
    if request.method == "GET":
        uri = pyotp.TOTP(secret).provisioning_uri(name=g.user["phone"], issuer_name="Example")
        return page("authenticator.html", secret=secret, qr=segno.make(uri).svg_inline(scale=5, light="white"))
    user = add_authenticator(g.user, secret, request.form["code"])
    if not user:
        abort(403, "The app's code is wrong. Is the clock of your phone right?")
    begin_session("full", user)
    return page("backup_codes.html", codes=new_backup_codes(user))


@app.post("/authenticator/remove")
def remove_authenticator() -> Any:
    """All second factors end, by one of them. With another app come ten new backup codes."""
    require_code(g.user, f"user {g.user['id']}")
    sql = "UPDATE users SET totp_secret = NULL, epoch = epoch + 1 WHERE id = ? RETURNING *"
    return begin_session("full", run(sql, g.user["id"]))


@app.post("/logout")
def log_out() -> Any:
    if session["level"] == "full":
        run("UPDATE users SET epoch = epoch + 1 WHERE id = ?", g.user["id"])
    return begin_session("anonymous")
