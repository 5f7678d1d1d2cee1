"""The search over everything, by the rights of a login."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from crm.conversations import history
from crm.kernel.errors import Refused
from crm.kernel.ports import Store
from crm.kernel.text import one_line
from crm.objects.views import title
from crm.search.finding import PLACES, Hit, Place, find
from router.gateway.actor import actor_of
from router.gateway.connection import Connection
from router.gateway.follow import plain
from router.wire import protocol
from router.wire.search_frames import FoundIn, MatchKind

_MATCH: tuple[MatchKind, ...] = ("exact", "begun", "forgiven")
_TITLE = 200


class SearchRequests:
    """Answers the frames of ``router.wire.search_frames``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def answers(self) -> dict[type[protocol.Frame], Callable[[Connection, Any], Awaitable[None]]]:
        return {protocol.Find: self._find}

    async def _find(self, connection: Connection, frame: protocol.Find) -> None:
        actor = actor_of(connection)
        found = {
            place: await find(self._store, actor, place, frame.text, limit=frame.limit)
            for place in places_named(frame.within)
        }
        hits = [hit for hits in found.values() for hit in hits.hits]
        hits.sort(key=lambda hit: (hit.rank, -hit.at))
        connection.send(
            protocol.FoundList(
                rid=frame.rid,
                hits=[_view(hit) for hit in hits],
                more=[place for place, of in found.items() if of.more],
            )
        )


def places_named(names: list[str]) -> list[Place]:
    """Where is searched, each once. Raises ``Refused``."""
    unknown = next((name for name in names if name not in PLACES), None)
    if unknown is not None:
        raise Refused("no_such_place", place=one_line(unknown[:200], 60), allowed=", ".join(PLACES))
    return [place for place in PLACES if not names or place in names]


def _view(hit: Hit) -> protocol.FoundView:
    document = hit.document
    texts = {
        name: value
        for name in ("line", "responsible", "stage", "customer", "session")
        if isinstance(value := document.get(name), str)
    }
    said = plain(history.message(document)) if hit.place == "messages" else None
    return protocol.FoundView(
        within=hit.place,
        id=document["_id"],
        match=_MATCH[hit.rank],
        title="" if said else one_line(title(document), _TITLE),
        at=hit.at,
        matched=[FoundIn(field=m.field, text=m.text, spans=m.spans) for m in hit.matches],
        message=said,
        **texts,
    )
