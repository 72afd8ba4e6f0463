"""What must be made anew in a forked child: locks that another thread may hold, threads that are gone, pids."""

from __future__ import annotations

import logging
import os
import weakref
from typing import Callable

log = logging.getLogger("imagxp")

_methods: list[weakref.WeakMethod[Callable[[], None]]] = []


def on_fork(method: Callable[[], None]) -> None:
    """Calls the method in every child of this process, for as long as its object lives."""
    _methods[:] = [known for known in _methods if known() is not None]
    _methods.append(weakref.WeakMethod(method))


def _in_child() -> None:
    for known in _methods:
        method = known()
        if method is not None:
            try:
                method()
            except Exception:
                # One that fails must not keep the others from it.
                log.exception("after a fork")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
