"""SIGHUP: the settings are read again, and new workers serve with them. What is wrong with them ends nothing."""

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

log = logging.getLogger("otp")

FIXED = ("bind", "port", "metrics_port")  # sockets that are open; whoever connects to them knows address and port

_checked: Any = None  # the settings that a reload has read, until the configuration is executed again


def settings_from(read: Callable[[], Any]) -> Any:
    """The settings that the reload in progress has read, else what `read` returns.

    Raises:
        ValueError: the settings are not right. Not in a reload.
    """
    global _checked  # one in a process: gunicorn executes its configuration anew in each reload
    settings, _checked = _checked or read(), None
    return settings


def check_reloads(arbiter: Any, read: Callable[[], Any], running: Any, env_file: Path) -> None:
    """Have SIGHUP read the settings first, and change nothing where they are bad. Call it in the master, once.

    Args:
        arbiter: gunicorn's master.
        read: returns the settings (a pydantic model) or raises a ValueError, with `reasons` that quote no value.
        running: those that the service started with.
        env_file: where some of them are, if it is there now. While it is gone they would be as if nobody had set them.
    """
    needed = env_file if env_file.is_file() else None
    arbiter.handle_hup = partial(_reload, arbiter, arbiter.handle_hup, partial(_read, read, needed), running)


def _read(read: Callable[[], Any], needed: Path | None) -> Any:
    if needed and not needed.is_file():
        raise FileNotFoundError(f"{needed.name}: is gone")
    return read()


def _reload(arbiter: Any, handle_hup: Callable[[], None], read: Callable[[], Any], started: Any) -> None:
    global _checked  # noqa: PLW0603  see `settings_from`
    try:
        settings = read()
    except (ValueError, FileNotFoundError) as e:
        log.error("reload_refused", extra={"reasons": getattr(e, "reasons", [str(e.args[0])])})
        return
    fixed = {name: getattr(started, name) for name in FIXED}
    if changed := [name.upper() for name in FIXED if getattr(settings, name) != fixed[name]]:
        log.warning("restart_needed", extra={"changed": changed})
    _checked = settings.model_copy(update=fixed)
    _keeping_the_old_configuration(arbiter, handle_hup)


def _keeping_the_old_configuration(arbiter: Any, handle_hup: Callable[[], None]) -> None:
    """gunicorn ends the process when its configuration cannot be executed: where files of a release are replaced."""
    try:
        handle_hup()
    except SystemExit as e:
        if os.getpid() != arbiter.pid:  # a new worker, at its end
            raise
        arbiter.app.cfg = arbiter.cfg
        log.error("reload_refused", extra={"reasons": [f"gunicorn.conf.py ended with {type(e.code).__name__}"]})
