"""A scripted bot: what it says, what it asks, where it leads. Pure."""

from __future__ import annotations

import msgspec


class Flow(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One flow as the desk runs it."""

    name: str


class FlowState(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Where a session stands in its flow; saved with it."""

    at: str = ""
