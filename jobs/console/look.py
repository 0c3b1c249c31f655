"""One colour and one icon per state, the same wherever the state is shown.

Colours are families in `static/console/tokens.css`; what is still on its way to an end
is outlined, what stands is filled. Icons are heroicons.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.lifecycle import State
from jobs.said import say


@dataclass(frozen=True)
class Look:
    """How a state looks; never by colour alone."""

    family: str
    icon: str
    outlined: bool = False


LOOKS: dict[State, Look] = {
    State.REQUESTED: Look("neutral", "hand-raised", outlined=True),
    State.QUEUED: Look("neutral", "queue-list", outlined=True),
    State.STARTING: Look("blue", "play", outlined=True),
    State.COPYING: Look("blue", "document-duplicate"),
    State.MIRRORING: Look("violet", "arrows-right-left"),
    State.PIVOTING: Look("green", "arrow-right-circle", outlined=True),
    State.FINISHING: Look("teal", "document-plus", outlined=True),
    State.CANCELLING: Look("neutral", "x-mark", outlined=True),
    State.PIVOTED: Look("green", "check-circle"),
    State.COPIED: Look("teal", "document-check"),
    State.CANCELLED: Look("neutral", "no-symbol"),
    State.FAILED: Look("red", "x-circle"),
    State.LOST: Look("orange", "link-slash"),
}
# States of a domain, in libvirt's words.
DOMAIN_LOOKS: dict[str, Look] = {
    "running": Look("green", "play"),
    "paused": Look("orange", "pause"),
    "crashed": Look("red", "exclamation-triangle"),
}
DOMAIN_OFF = Look("neutral", "power", outlined=True)
# The same as a reader says them.
DOMAIN_WORDS: dict[str, str] = {
    "running": say("running"),
    "blocked": say("blocked"),
    "paused": say("paused"),
    "shutdown": say("shutting down"),
    "shutoff": say("off"),
    "crashed": say("crashed"),
    "pmsuspended": say("suspended"),
    "nostate": say("unknown"),
}
