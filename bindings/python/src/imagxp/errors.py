"""What can go wrong, by whose fault it is, with the library's own codes (docs/checks.md).

>>> code_of(-301), http_of(-301)
('TIMESTAMP_STALE', 403)
>>> raise_for(-109)
Traceback (most recent call last):
    ...
imagxp.errors.HostError: CLOCK_UNKNOWN: `now` is not a time after 1970: set the clock before verifying
"""

from __future__ import annotations

from functools import cache

from . import _ffi


class ImagxpError(Exception):
    """A refusal: `number` and `code` as in the C header, `status` for HTTP, `help` for whoever can mend it."""

    def __init__(self, number: int, why: str = "") -> None:
        self.number, self.code = number, code_of(number)
        self.status, self.help = http_of(number), help_of(number)
        super().__init__(f"{self.code}: {why or self.help}")


class HostError(ImagxpError):
    """-1xx: the caller's own mistake: an argument, a key, a policy, the clock."""


class MalformedError(ImagxpError):
    """-2xx: the request is malformed."""


class AuthenticityError(ImagxpError):
    """-3xx: the request is not authentic, or not fresh."""


class IdentityError(ImagxpError):
    """-4xx: the agent's identity."""


class PolicyError(ImagxpError):
    """-5xx: the publisher's policy, and payment."""


class StoreError(RuntimeError):
    """A replay store that cannot do what it is there for; the text says which one can."""


_CLASSES = {1: HostError, 2: MalformedError, 3: AuthenticityError, 4: IdentityError, 5: PolicyError}


@cache
def code_of(number: int) -> str:
    """The name of a status: ``OK``, ``NEED``, ``TIMESTAMP_STALE``."""
    return _ffi.string(_ffi.lib_gil.status_name(number)) or f"UNKNOWN_{number}"


@cache
def help_of(number: int) -> str:
    """What was wrong, and what to mend: for logs, never for a remote client."""
    return _ffi.string(_ffi.lib_gil.status_help(number))


@cache
def http_of(number: int) -> int:
    """The HTTP status to answer with."""
    return int(_ffi.lib_gil.status_http(number))


def error_of(number: int, why: str = "") -> ImagxpError:
    """The exception of a refusal."""
    return _CLASSES.get(-number // 100, HostError)(number, why)


def raise_for(number: int, why: str = "") -> None:
    """Raises what a status below 0 stands for."""
    if number < 0:
        raise error_of(number, why)


@cache
def number_of(code: str) -> int:
    """The number of a code, from the library's own table.

    >>> number_of("REPLAY_DETECTED")
    -306
    """
    for number in range(-600, 3):
        if code_of(number) == code:
            return number
    raise KeyError(code)
