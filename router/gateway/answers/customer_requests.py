"""Cards of customers over the wire: looked at, changed, linked and merged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from crm.kernel.errors import Conflict, Refused
from crm.kernel.ports import Document, Store
from crm.kernel.records import customer_of, person_chat
from crm.objects import views
from crm.objects.service import Objects
from crm.objects.twins import Twin
from crm.people import cards
from crm.people.cards import People
from crm.people.merging import Disputed
from router.desk.events import CustomerChanged
from router.gateway.actor import actor_of
from router.gateway.answers.current import Current
from router.gateway.connection import Connection
from router.gateway.picture import Picture
from router.history.claims import teller
from router.log.log import Log, now_ms
from router.wire import protocol

QUERY_MAX = 200
"""Characters of a query."""


class CustomerRequests:
    """Answers the frames of ``router.wire.customer_frames``. ``region``: whose numbers are written without a
    country."""

    def __init__(
        self, log: Log, store: Store, picture: Picture, current: Current, objects: Objects, region: str
    ) -> None:
        self._log = log
        self._store = store
        self._picture = picture
        self._current = current
        self._objects = objects
        self._people = People(store, objects, region, teller(log))

    def answers(self) -> dict[type[protocol.Frame], Callable[[Connection, Any], Awaitable[None]]]:
        return {
            protocol.GetCustomers: self._list,
            protocol.GetCustomer: self._get,
            protocol.GetDuplicates: self._duplicates,
            protocol.SetCustomer: self._set,
            protocol.LinkSession: self._link,
            protocol.MergeCustomers: self._merge,
            protocol.UnmergeCustomer: self._unmerge,
            protocol.AnswerSuggestion: self._answer,
        }

    # ---------------------------------------------------------------- looking

    async def _list(self, connection: Connection, frame: protocol.GetCustomers) -> None:
        page = await self._people.page(
            actor_of(connection), frame.query[:QUERY_MAX], limit=frame.limit, after=frame.after
        )
        items = [card_view(card) for card in page.items]
        connection.send(protocol.CustomerList(rid=frame.rid, items=items, next=page.next))

    async def _get(self, connection: Connection, frame: protocol.GetCustomer) -> None:
        card = await self._people.get(actor_of(connection), frame.customer)
        await self._show(connection, frame.rid, card)

    async def _duplicates(self, connection: Connection, frame: protocol.GetDuplicates) -> None:
        actor = actor_of(connection)
        if frame.customer:
            card = await self._people.get(actor, frame.customer)
            found = [(card, twins)] if (twins := await self._people.twins(actor, card)) else []
            next = ""  # noqa: A001 - the word of the wire
        else:
            found, next = await self._people.duplicates(  # noqa: A001
                actor, limit=frame.limit, after=frame.after
            )
        items = [
            protocol.DuplicateView(customer=card_view(card), twins=_twin_views(twins))
            for card, twins in found
        ]
        connection.send(protocol.DuplicateList(rid=frame.rid, items=items, next=next))

    async def _show(
        self, connection: Connection, rid: int, card: Document, *,
        conflicts: dict[str, dict[str, Any]] | None = None, disputed: dict[str, dict[str, Any]] | None = None,
    ) -> None:  # fmt: skip
        actor = actor_of(connection)
        twins = await self._people.twins(actor, card)
        connection.send(
            protocol.CustomerShown(
                rid=rid, customer=card_view(card), may=views.may_with(actor, "customer", card),
                suggestions=[_suggestion(one, twins) for one in cards.suggestions(card)],
                twins=_twin_views(twins), merged=[*card.get("merged", ())], conflicts=conflicts or {},
                disputed=disputed or {},
            )
        )  # fmt: skip

    # ---------------------------------------------------------------- changing

    async def _set(self, connection: Connection, frame: protocol.SetCustomer) -> None:
        actor = actor_of(connection)
        try:
            card = await self._change(connection, frame.customer, frame.fields, frame.version)
        except Conflict as conflict:
            wanted = await self._objects.checks.values(actor, "customer", frame.fields)
            both = views.conflicts(conflict.current, wanted)
            await self._show(connection, frame.rid, conflict.current, conflicts=both)
        else:
            await self._show(connection, frame.rid, card)

    async def _change(
        self, connection: Connection, id: str, fields: Mapping[str, Any], version: int
    ) -> Document:
        card, told = await self._people.set(
            actor_of(connection), id, fields, at=now_ms(), version=max(0, version)
        )
        if told:  # what it does not hear, it learns with his next session
            event = CustomerChanged(
                event_id=f"{card['_id']}-{card['version']}", customer=card["_id"],
                responsible=told.get("responsible", None) or "" if "responsible" in told else None,
                vip=bool(told["vip"]) if "vip" in told else None,
                language=told["language"] or "" if "language" in told else None,
            )  # fmt: skip
            await self._log.append(event)
        return card

    async def _answer(self, connection: Connection, frame: protocol.AnswerSuggestion) -> None:
        card = await self._people.answer(
            actor_of(connection), frame.customer, frame.key, frame.accept, at=now_ms()
        )
        await self._show(connection, frame.rid, card)

    # ---------------------------------------------------------------- two that are one

    async def _link(self, connection: Connection, frame: protocol.LinkSession) -> None:
        session = await self._current.session(frame.session)
        if not self._picture.may_read(connection.access, session):
            raise Refused("no_right", right="read", line=session.line)
        theirs = session.customer or customer_of(person_chat(session.chat))
        # Whoever links says who it is: what the chat's own card says is only what a channel knew.
        card = await self._people.merge(
            actor_of(connection), frame.customer, theirs, {"*": "master"}, at=now_ms()
        )
        await self._show(connection, frame.rid, card)

    async def _merge(self, connection: Connection, frame: protocol.MergeCustomers) -> None:
        actor = actor_of(connection)
        try:
            card = await self._people.merge(actor, frame.master, frame.other, frame.prefer, at=now_ms())
        except Disputed as disputed:
            master = await self._people.get(actor, frame.master)
            await self._show(connection, frame.rid, master, disputed=disputed.both)
        else:
            await self._show(connection, frame.rid, card)

    async def _unmerge(self, connection: Connection, frame: protocol.UnmergeCustomer) -> None:
        card = await self._people.unmerge(actor_of(connection), frame.other, at=now_ms())
        await self._show(connection, frame.rid, card)


_NOT_SHOWN = frozenset({"suggestions", "refused", "told", "merged"})


def card_view(card: Document) -> dict[str, Any]:
    """A card as it travels."""
    shown = {name: value for name, value in views.view(card).items() if name not in _NOT_SHOWN}
    return {name: value for name, value in shown.items() if not isinstance(value, bytes)}


def _suggestion(one: Document, twins: Sequence[Twin]) -> protocol.SuggestionView:
    alike = [
        twin
        for twin in twins
        if twin.by == one["kind"] and (twin.document is None or one["key"] in twin.document.get("keys", ()))
    ]
    kept = {name: one[name] for name in protocol.SuggestionView.__struct_fields__ if name in one}
    return protocol.SuggestionView(**{**kept, "alike": _twin_views(alike)})


def _twin_views(found: Sequence[Twin]) -> list[protocol.TwinView]:
    return [msgspec.convert(views.twin_view(twin), protocol.TwinView) for twin in found]
