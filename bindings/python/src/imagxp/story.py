"""The story of a decision, line by line, as records of the logger ``imagxp.story`` (docs/protocol.md section 8).

    logging.getLogger("imagxp.story").setLevel(logging.INFO)

A record's message is the line for people, and its attribute ``imagxp`` the same as a mapping, for machines. What did not pass
its grammar is shown as its SHA-256: nobody writes into the log but you. Nothing is computed while nobody listens.
"""

from __future__ import annotations

import json
import logging
from ctypes import byref
from typing import Any, Callable

from . import _ffi
from .agent import Agent, write
from .errors import ImagxpError
from .words import Purpose

__all__ = ["is_wanted", "of_agent", "tell"]

log = logging.getLogger("imagxp.story")


def is_wanted() -> bool:
    return log.isEnabledFor(logging.INFO)


def tell(write_story: Callable[[int, Any, Any], int]) -> None:
    """`write_story` takes a format, a buffer and where its length goes, as all imagxp_story_* do."""
    try:
        lines = [
            write(lambda out, needed: write_story(form, out, needed), _ffi.STORY_LEN).splitlines()  # noqa: B023
            for form in (_ffi.STORY_TEXT, _ffi.STORY_JSON)
        ]
    except ImagxpError as error:
        log.warning("a story cannot be told: %s", error)
        return
    for line, event in zip(*lines):
        log.info("%s", line, extra={"imagxp": json.loads(event)})


def of_agent(
    agent: Agent, url: str, purpose: Purpose, times_ms: tuple[int, int, int], answer: tuple[int, str], ads_displayed: bool
) -> None:
    """Signed, sent, answered; and the answer's status and code."""
    claims = _ffi.new(
        _ffi.Claims,
        agent_id=_ffi.text(agent.agent_id),
        resource=_ffi.text(url),
        purpose=purpose.number,
        ads_displayed=ads_displayed,
    )
    signed_ms, sent_ms, answered_ms = times_ms
    sent = _ffi.new(
        _ffi.Sent,
        signed_ms=signed_ms,
        sent_ms=sent_ms,
        answered_ms=answered_ms,
        http_status=answer[0],
        error=_ffi.text(answer[1]),
    )
    key = _ffi.text(agent.public_key)
    tell(lambda form, out, needed: _ffi.lib.story_agent(byref(claims), key, byref(sent), form, out, needed))
