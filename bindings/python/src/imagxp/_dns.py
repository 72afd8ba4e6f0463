"""Every address of a name, in bounded time.

dnspython, if it is there (``pip install imagxp[dns]``), ends a look-up when its time is over. The system's own resolver
does not: it holds a thread until its own time-out, often 10 s. So those threads are counted, and who runs slow name servers
uses up the look-ups of strangers' names, never the server's own threads.
"""

from __future__ import annotations

import queue
import socket
import threading
from typing import Any, Callable, Optional

from ._budget import Crowded
from ._fork import on_fork

Resolve = Callable[[str, float], "list[str]"]

# Look-ups that the system may be left with.
_LINGERING_MAX = 64


class NoAddress(Exception):
    """The name has no address: why."""


def default() -> Resolve:
    try:
        import dns.resolver  # noqa: F401
    except ImportError:
        return System().resolve
    return by_dnspython


def by_dnspython(name: str, timeout: float) -> list[str]:
    """A and AAAA by the servers of /etc/resolv.conf; no search domain is tried."""
    import dns.exception
    import dns.resolver

    try:
        answers: Any = dns.resolver.Resolver().resolve_name(f"{name}.", lifetime=timeout)
        return list(answers.addresses())
    except dns.exception.Timeout:
        raise TimeoutError from None
    except dns.exception.DNSException as error:
        raise NoAddress(str(error)) from None


class System:
    """`getaddrinfo` in threads that are counted."""

    def __init__(self) -> None:
        self._in_child()
        on_fork(self._in_child)

    def _in_child(self) -> None:
        self._places = threading.BoundedSemaphore(_LINGERING_MAX)

    def resolve(self, name: str, timeout: float) -> list[str]:
        if not self._places.acquire(blocking=False):
            raise Crowded("too many look-ups have not been answered yet")
        answers: queue.SimpleQueue[tuple[list[str], Optional[OSError]]] = queue.SimpleQueue()
        try:
            threading.Thread(target=self._look_up, args=(name, answers, self._places), name="imagxp-dns", daemon=True).start()
        except RuntimeError:
            self._places.release()
            raise Crowded("no thread for the look-up") from None
        try:
            found, error = answers.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None
        if error is not None:
            raise NoAddress(error.strerror or str(error))
        return found

    @staticmethod
    def _look_up(name: str, answers: Any, places: threading.BoundedSemaphore) -> None:
        try:
            # With a dot behind it no search domain is tried.
            rows = socket.getaddrinfo(f"{name}.", None, type=socket.SOCK_STREAM)
            answers.put((list(dict.fromkeys(str(row[4][0]) for row in rows)), None))
        except (OSError, UnicodeError) as error:
            answers.put(([], error if isinstance(error, OSError) else OSError(str(error))))
        finally:
            places.release()
