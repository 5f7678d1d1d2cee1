"""From a lead to contact, company and deal: what is made of what, decided before anything is written.

Each of the three is a new one, one that is there, or none. Whoever says nothing gets what suggests itself,
unless there is something alike already: then he is told of all of it, and has to say which.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from crm.kernel import reach, stages
from crm.kernel.access import Actor, within
from crm.kernel.crm_settings import CrmSettings
from crm.kernel.errors import Refused
from crm.kernel.ports import Document, Store
from crm.kernel.text import one_line
from crm.objects import twins as alike
from crm.objects.service import Objects
from crm.objects.twins import ALIVE, Twin, keys_of
from crm.objects.writing import new_id, value_at

Target = Literal["contact", "company", "deal"]
TARGETS: tuple[Target, ...] = get_args(Target)

NEW, NONE = "new", "none"
OF_THE_DEAL = frozenset({"about", "tags", "amount"})
"""What goes to the deal alone, where one is made."""
NOT_COPIED = frozenset({"title", "name", "lead", "contact", "company", "deal", "funnel", "stage"})
TOLD = 10
"""Duplicates that a refusal names."""


@dataclass(frozen=True)
class Wanted:
    """What somebody asked for: for each target ``new``, ``none``, an id, or empty for what suggests itself.
    ``fields``: what a new one shall say beside, or instead of, what the lead says."""

    contact: str = ""
    company: str = ""
    deal: str = ""
    funnel: str = ""
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass
class ConversionPlan:
    """What would be made. ``ids``: target -> id, of new ones and of those that are there; ``drafts``: the new
    documents; ``twins``: what is like a new one; ``open``: targets of which nobody has said that they shall
    be new although there is something alike."""

    lead: Document
    ids: dict[Target, str] = field(default_factory=dict)
    drafts: dict[Target, Document] = field(default_factory=dict)
    twins: dict[Target, list[Twin]] = field(default_factory=dict)
    open: list[Target] = field(default_factory=list)
    fills: bool = False
    """The contact that is there may learn phones and addresses."""
    reached: Document = field(default_factory=dict)
    """``phones`` and ``emails`` of the lead, or where it has none those on the card of its customer."""

    def check(self) -> None:
        """Raises ``Refused``: ``twins_found`` with all there are, ``converts_into_nothing``."""
        if self.open:
            found = [twin for target in self.open for twin in self.twins[target]]
            raise Refused(
                "twins_found",
                targets=", ".join(self.open),
                found="; ".join(map(_named, found[:TOLD])) + (" …" if len(found) > TOLD else ""),
            )
        if not self.ids:
            raise Refused("converts_into_nothing")


class Conversions:
    """Plans conversions; nothing is written here. ``funnel_of`` says into which funnel the deals of a line
    go; one that is not there, or none, is the first."""

    def __init__(
        self, store: Store, objects: Objects, settings: CrmSettings,
        funnel_of: Callable[[str], str] = lambda line: "",
    ) -> None:  # fmt: skip
        self._funnel_of = funnel_of
        self._store = store
        self._objects = objects
        self._settings = settings

    async def plan(self, actor: Actor, lead: str, wanted: Wanted, *, at: int) -> ConversionPlan:
        """Raises ``Refused``: what he may not, what is not there, ``lead_converted``."""
        plan = ConversionPlan(await self._objects.editable(actor, "lead", lead))
        plan.reached = await self._reached(actor, plan.lead)
        choices = {target: self._choice(plan.lead, target, getattr(wanted, target)) for target in TARGETS}
        for target, choice in choices.items():
            if choice in (NEW, NONE):
                continue
            there = await self._objects.get(actor, target, choice)
            plan.ids[target] = choice
            plan.fills |= target == "contact" and actor.reaches(target, "edit", there)
        plan.ids |= {target: new_id(target) for target, choice in choices.items() if choice == NEW}
        for target, choice in choices.items():
            if choice == NEW:
                plan.drafts[target] = await self._draft(actor, plan, target, wanted, at=at)
        for target, draft in plan.drafts.items():
            plan.twins[target] = await self._alike(actor, target, draft)
            if not getattr(wanted, target) and any(
                _telling(target, twin, draft) for twin in plan.twins[target]
            ):
                plan.open.append(target)
        return plan

    async def _reached(self, actor: Actor, lead: Document) -> Document:
        card: Document = {}
        if lead.get("customer"):
            with contextlib.suppress(Refused):
                card = await self._objects.checks.readable(actor, "customer", lead["customer"])
        phones = [
            reach.phone(one, self._settings.country) if isinstance(one, str) else one
            for one in card.get("phones") or ()
        ]
        found = {
            "phones": lead.get("phones") or [phone for phone in phones if phone],
            "emails": lead.get("emails") or card.get("emails"),
        }
        return {name: values for name, values in found.items() if values}

    def _choice(self, lead: Document, target: Target, said: str) -> str:
        if said:
            return said
        if target == "deal":
            return NEW
        if lead.get(target):
            return str(lead[target])
        return NEW if target == "contact" or lead.get("company_name") else NONE

    async def _draft(
        self, actor: Actor, plan: ConversionPlan, target: Target, wanted: Wanted, *, at: int
    ) -> Document:
        if actor.may(target, "add") == "none":
            raise Refused("no_right", right="add")
        lead, given = plan.lead, wanted.fields.get(target, {})
        known = {**lead, **plan.reached}
        draft = self._copied(known, target, has_deal="deal" in plan.ids, has_contact="contact" in plan.ids)
        name = lead.get("company_name") if target == "company" else lead.get("name")
        draft["title" if target == "deal" else "name"] = (
            lead["title"] if target == "deal" else one_line(name or lead["title"])
        )
        for path, value in (await self._objects.checks.values(actor, target, given)).items():
            _put(draft, path, value)
        for one in self._objects.checks.types.fields(target).values():
            if one.required and value_at(draft, one.path) in (None, ""):
                raise Refused("needs_field", type=target, field=one.name)
        draft |= {"responsible": draft.get("responsible") or actor.name, "line": draft.get("line", "")}
        draft |= {"_id": plan.ids[target], "lead": lead["_id"]}
        if target != "company" and "company" in plan.ids:
            draft["company"] = plan.ids["company"]
        if target == "deal":
            if "contact" in plan.ids:
                draft["contact"] = plan.ids["contact"]
            funnel = self._funnel_of(lead.get("line", ""))
            funnel = wanted.funnel or (funnel if funnel in self._settings.funnels else "")
            draft |= stages.begun(self._settings, "deal", at=at, by=actor.name, funnel=funnel)
        draft["keys"] = keys_of(target, draft)
        if not actor.reaches(target, "add", draft):
            raise Refused("no_right", right="add")
        return draft

    def _copied(self, lead: Document, target: Target, *, has_deal: bool, has_contact: bool) -> Document:
        """What the lead says in fields that the target has too: of the same name and kind."""
        fields = self._objects.checks.types
        left = NOT_COPIED | (OF_THE_DEAL if has_deal and target != "deal" else frozenset())
        if target == "company" and has_contact:
            left |= {"phones", "emails", "post"}  # they are the person's
        draft: Document = {}
        theirs = fields.fields(target)
        for name, own in fields.fields("lead").items():
            other = theirs.get(name)
            if other is None or other.kind != own.kind or name in left:
                continue
            if other.read_only and name != "files":
                continue
            value = value_at(lead, own.path)
            if value not in (None, "", []):
                _put(draft, other.path, value)
        return draft

    async def _alike(self, actor: Actor, target: Target, draft: Document) -> list[Twin]:
        if target != "deal":
            found = await alike.twins(self._store, actor, target, draft["keys"], draft["_id"])
            return [twin for twin in found if twin.type == target]
        customer = draft.get("customer")
        if not customer:
            return []
        open_ones = {"customer": customer, "semantics": "work", **ALIVE}
        deals = await self._store.find("deals", open_ones, limit=alike.SHOWN)
        seen = await self._store.find("deals", within(actor, "deal", "read", open_ones), limit=alike.SHOWN)
        readable = {deal["_id"] for deal in seen}
        return [Twin("deal", "name", deal if deal["_id"] in readable else None) for deal in deals]


def _telling(target: Target, twin: Twin, draft: Document) -> bool:
    """Whether something alike is enough to ask: many people have the same first name."""
    return target != "contact" or twin.by != "name" or len(str(draft["name"]).split()) > 1


def _named(twin: Twin) -> str:
    if twin.document is None:
        return f"{twin.type} (by {twin.by}, not yours to see)"
    title = one_line(str(twin.document.get("title") or twin.document.get("name") or ""), 60)
    return f"{twin.type} {twin.document['_id']} {title} (by {twin.by})"


def _put(document: Document, path: str, value: Any) -> None:
    """A value at its path; None takes it away."""
    head, _, rest = path.partition(".")
    if rest:
        inner = {**document.get(head, {}), rest: value}
        document[head] = {name: one for name, one in inner.items() if one is not None}
    elif value is None:
        document.pop(head, None)
    else:
        document[head] = value
