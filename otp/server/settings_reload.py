"""Reloads the settings on SIGHUP for new workers. Wrong settings change nothing."""

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

log = logging.getLogger("otp")

FIXED = ("bind", "port", "metrics_port")  # the sockets are open, and clients know their addresses and ports

_checked: Any = None  # the settings that a reload has read, until gunicorn executes its configuration again


def settings_from(read: Callable[[], Any]) -> Any:
    """The settings that the reload in progress has read, otherwise those that `read` returns.

    Raises:
        ValueError: the settings are wrong. A reload does not raise it.
    """
    global _checked  # gunicorn executes its configuration file again in each reload
    settings, _checked = _checked or read(), None
    return settings


def check_reloads(arbiter: Any, read: Callable[[], Any], running: Any, env_file: Path) -> None:
    """Make SIGHUP read the settings first, and change nothing if they are wrong. Call this once, in the master.

    Args:
        arbiter: gunicorn's master.
        read: returns the settings (a pydantic model) or raises a ValueError, with `reasons` that quote no value.
        running: the settings that the service started with.
        env_file: if it exists now, reloads require it: without it, its settings would silently be missing.
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
    _reload_configuration(arbiter, handle_hup)


def _reload_configuration(arbiter: Any, handle_hup: Callable[[], None]) -> None:
    """Keep the old configuration if the new one fails, e.g. while a release is being copied: gunicorn would exit."""
    try:
        handle_hup()
    except SystemExit as e:
        if os.getpid() != arbiter.pid:  # a new worker, at its end
            raise
        arbiter.app.cfg = arbiter.cfg
        log.error("reload_refused", extra={"reasons": [f"gunicorn.conf.py ended with {type(e.code).__name__}"]})
