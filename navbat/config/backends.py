"""Where a desk's data is: what every process of it must know, and how it is reached."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from crm.kernel.crm_settings import CrmSettings
from crm.kernel.errors import NavbatError
from navbat.config.types import Config

if TYPE_CHECKING:
    from crm.kernel.ports import Store
    from router.log.log import Log


class DeskAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A desk's name, the addresses of its data, and by which rules its CRM goes. ``redis`` is a URL,
    ``lease_ttl`` in seconds."""

    desk: str
    data: str
    redis: str
    mongodb: str = ""
    lease_ttl: float = 3.0
    crm: CrmSettings = CrmSettings()

    @property
    def store_kind(self) -> str:
        """For the ready line: ``mongodb`` or ``sqlite``."""
        return "mongodb" if self.mongodb else "sqlite"


def place_of(config: Config, redis: str) -> DeskAddress:
    """The place that a configuration describes, with Redis at ``redis``."""
    return DeskAddress(
        desk=config.desk,
        data=config.data,
        redis=redis,
        mongodb=config.mongodb,
        lease_ttl=config.lease_ttl.seconds,
        crm=config.crm.rules(),
    )


def make_store(place: DeskAddress) -> Store:
    """The store, not opened yet."""
    if place.mongodb:
        from storage.mongo import MongoStore

        return MongoStore(place.mongodb, f"navbat_{place.desk.replace('.', '_')}")
    from storage.sqlite import SqliteStore

    return SqliteStore(Path(place.data) / "navbat.sqlite")


def make_log(place: DeskAddress) -> Log:
    """The log; connects when it is first used."""
    from router.log.home import connect
    from router.log.log import Log

    return Log(connect(place.redis, place.desk), place.desk)


MOVING = "moving"
"""A collection with one document while the store is being made the copy of another one."""


async def opened(store: Store) -> None:
    """Opens a store; one that cannot be opened is closed, to be tried again. Raises ``Unavailable``, and
    ``NavbatError`` for one that has half of what another has, or is of a newer version."""
    try:
        await store.open()
        if await store.find(MOVING, {}, limit=1):
            raise NavbatError(
                "the store is half of another one: `navbat move-store` was cut off", "run it again"
            )
        from storage.migrations.migrating import refuse_newer

        await refuse_newer(store)
    except BaseException:
        await store.close()
        raise
