"""The linear mode's words for leads, deals, tasks and figures: one line an object, a card, a stage moved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from console.crm.tables import HEADS, PERIODS, written_figure
from console.crm.values import label, money, shown, stage_named, stage_of, title, value_of
from console.link import Link
from console.text.words import Words, local
from crm.kernel.crm_settings import Funnel
from crm.kernel.errors import Refused
from crm.kernel.text import one_line
from crm.objects.types import PREFIX
from router.wire import protocol as wire

PAGE = 50
"""Objects of one answer; what is narrowed has room."""
LISTS = {
    "leads": ("lead", "-created_at"), "deals": ("deal", "-stage_since"), "contacts": ("contact", "name"),
    "companies": ("company", "name"), "tasks": ("activity", "due_at"),
}  # fmt: skip
"""Word -> the type of what is listed, and in which order."""
TO_DO = ["done=no", "kind!=note", "kind!=comment"]
OF = {prefix: of for of, prefix in PREFIX.items()}


class PlainObjects:
    """``commands`` are the words, to be carried out with what follows them. They raise ``Refused`` and
    ``Unavailable``. ``now`` in ms."""

    def __init__(self, words: Words, say: Callable[[str], None], link: Link, now: Callable[[], int]) -> None:
        self._words = words
        self._say = say
        self._link = link
        self._now = now
        self._declared: wire.CrmDeclared | None = None

    def commands(self) -> dict[str, Callable[[str], Awaitable[None]]]:
        listing = {word: partial(self._list, *of) for word, of in LISTS.items()}
        return {
            **listing, "card": self._card, "move": self._move, "done": self._done, "figures": self._figures,
        }  # fmt: skip

    async def _possible(self) -> wire.CrmDeclared:
        if self._declared is None:
            self._declared = await self._link.request(wire.GetCrm(rid=0), wire.CrmDeclared)
        return self._declared

    # -------------------------------------------------------------- lists

    async def _list(self, of: str, sort: str, where: str) -> None:
        """``where``: conditions with commas between them (``stage=new, responsible=anna``)."""
        conditions = [part.strip() for part in where.split(",") if part.strip()]
        if of == "activity" and not conditions:
            conditions = TO_DO
        frame = wire.GetObjects(rid=0, type=of, where=conditions, sort=sort, limit=PAGE, total=True)
        found = await self._link.request(frame, wire.ObjectList)
        funnels = (await self._possible()).funnels.get(of, {})
        for item in found.items:
            self._say(self._row(of, item, funnels))
        self._say(self._words("crm.count", n=found.total if found.total is not None else len(found.items)))

    def _row(self, of: str, item: Mapping[str, Any], funnels: Mapping[str, Funnel]) -> str:
        parts = [one_line(str(item.get("id", "")), 40), title(item)]
        if of in ("lead", "deal"):
            parts += [f"[{stage_of(item, funnels, self._words)}]", money(item.get("amount"))]
        if of == "activity":
            due = int(item.get("due_at") or 0)
            late = 0 < due < self._now() and not item.get("done")
            parts.append(self._words.maybe(f"choice.{item.get('kind')}", ""))
            parts.append(local(due, None).strftime("%d.%m %H:%M") if due else "")
            parts.append(self._words("plain.late") if late else "")
        return " ".join(part for part in (*parts, one_line(str(item.get("responsible") or ""), 40)) if part)

    # -------------------------------------------------------------- one object

    async def _get(self, id: str) -> tuple[str, dict[str, Any]]:
        """Its type and itself. The first letter of an id says what it names."""
        of = OF.get(id[:1], "")
        if not of:
            raise Refused("no_such_object", type="object", id=one_line(id, 40))
        found = await self._link.request(wire.GetObject(rid=0, type=of, id=id), wire.ObjectShown)
        return of, found.object

    async def _card(self, id: str) -> None:
        of, item = await self._get(id)
        declared = await self._possible()
        for field in declared.fields.get(of, ()):
            value = shown(field, value_of(field, item), self._words, None)
            if field.name == "stage":
                value = stage_of(item, declared.funnels.get(of, {}), self._words)
            if value:
                self._say(f"{label(field, self._words)}: {value}")

    async def _move(self, rest: str) -> None:
        """``ID STAGE [REASON]``; the stage by its key, or by its name where that is one word."""
        id, _, rest = rest.partition(" ")
        stage, _, reason = rest.strip().partition(" ")
        of, item = await self._get(id)
        funnel = (await self._possible()).funnels.get(of, {}).get(str(item.get("funnel", "")))
        for one in funnel.stages if funnel else ():
            if stage.casefold() == stage_named(one, self._words).casefold():
                stage = one.key
        frame = wire.MoveObject(
            rid=0, type=of, id=id, stage=stage, reason=reason.strip(), version=item["version"]
        )
        await self._moved(of, await self._link.request(frame, wire.ObjectShown))

    async def _moved(self, of: str, found: wire.ObjectShown) -> None:
        self._say(self._row(of, found.object, (await self._possible()).funnels.get(of, {})))

    async def _done(self, id: str) -> None:
        """Whatever else has changed: done is done."""
        of, _ = await self._get(id)
        frame = wire.SetObject(rid=0, type=of, id=id, fields={"done": True})
        await self._link.request(frame, wire.ObjectShown)
        self._say(self._words("plain.done"))

    # -------------------------------------------------------------- figures

    async def _figures(self, rest: str) -> None:
        """``[today|week|month|quarter] [sessions|operators|csat|funnel]``, in any order."""
        asked = rest.split()
        if unknown := [word for word in asked if word not in PERIODS and word not in HEADS]:
            self._say(self._words("plain.what", word=one_line(unknown[0], 40)))
            return
        period = next((word for word in asked if word in PERIODS), "week")
        kind: Any = next((word for word in asked if word in HEADS), "sessions")
        today = local(self._now(), None).date()
        since = today - timedelta(days=PERIODS[period] - 1)
        by = "day" if kind == "sessions" else "operator"
        frame = wire.GetStatistics(rid=0, kind=kind, by=by, since=since.isoformat(), to=today.isoformat())
        found = await self._link.request(frame, wire.Statistics)
        for row in found.rows:
            self._say(f"{one_line(str(row['key']), 60) or '–'}: {self._line(kind, row)}")
        self._say(f"{self._words(f'figures.{period}')}: {self._line(kind, found.total)}")

    def _line(self, kind: str, row: Mapping[str, Any]) -> str:
        return ", ".join(
            f"{self._words(f'figure.{name}')} {written_figure(name, row.get(name), self._words)}"
            for name in HEADS[kind]
        )
