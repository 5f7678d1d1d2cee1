"""Which kinds of channels there are. Only the kind asked for is imported, and its SDK with it.

A third party adds a kind through the entry-point group ``navbat.channels``
(``viber = "navbat_viber:Viber"``); the names of our own kinds cannot be taken over.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from bots.base import Channel, ChannelSettings
from crm.kernel.errors import ConfigError

GROUP = "navbat.channels"

BUILT_IN = (
    EntryPoint("loopback", "bots.loopback:Loopback", GROUP),
    EntryPoint("telegram", "bots.telegram.channel:Telegram", GROUP),
)


def kinds() -> list[str]:
    """All kinds that can be named in the configuration, sorted. Imports none of them."""
    return sorted(_known())


def channel_type(kind: str) -> type[Channel]:
    """The class behind a kind. Raises ``ConfigError`` when there is none, when the packages it
    needs are not installed, or when what is registered is not a channel."""
    entry = _known().get(kind)
    if entry is None:
        raise ConfigError(f"there is no channel kind {kind!r}", hint=f"known kinds: {', '.join(kinds())}")
    try:
        found = entry.load()
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"channel kind {kind!r} needs the package {error.name!r}, which is not installed",
            hint=f"pip install navbat[{kind}]" if entry in BUILT_IN else f"pip install {error.name}",
        ) from error
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"channel kind {kind!r} cannot be loaded from {entry.value}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Channel)):
        raise ConfigError(f"channel kind {kind!r}: {entry.value} is not a Channel")
    return found


def settings_type(kind: str) -> type[ChannelSettings]:
    """The settings of a kind. Raises as ``channel_type`` does."""
    return channel_type(kind).Settings


def _known() -> dict[str, EntryPoint]:
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    return found | {entry.name: entry for entry in BUILT_IN}
