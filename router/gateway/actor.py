"""Who asks for something of the CRM: what his login may, as the CRM puts it."""

from __future__ import annotations

from crm.kernel.access import Actor
from router.gateway.connection import Connection


def actor_of(connection: Connection) -> Actor:
    """As his rights are at this moment."""
    access = connection.access
    return Actor(
        name=access.name, role=access.role, lines=access.lines, grants=access.crm,
        everywhere=access.everywhere,
    )  # fmt: skip
