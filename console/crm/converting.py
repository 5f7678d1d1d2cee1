"""Turning a lead into a contact, a company and a deal: what it would become is asked about first, one after the
other, and then all of it is made or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from textual.screen import Screen

from console.crm.values import title
from console.screens.dialogs import Choice, PickScreen
from console.screens.search import Ask
from console.shell import shell, work
from crm.kernel.text import one_line
from router.wire import protocol as wire

TARGETS = ("contact", "company", "deal")


async def convert(
    screen: Screen[Any], ask: Ask, lead: str, done: Callable[[wire.LeadConverted], None]
) -> None:
    """Asks what each target shall be, and converts; ``done`` is told what came of it."""
    plan = await ask(wire.PlanConversion(rid=0, lead=lead), wire.ConversionPlanned)
    if isinstance(plan, wire.ConversionPlanned):
        Questions(screen, ask, plan, done).next()


class Questions:
    """One question for each target, in order; Escape at any of them leaves everything as it was."""

    def __init__(
        self, screen: Screen[Any], ask: Ask, plan: wire.ConversionPlanned,
        done: Callable[[wire.LeadConverted], None],
    ) -> None:  # fmt: skip
        self._screen, self._ask, self._plan, self._done = screen, ask, plan, done
        self._answers: dict[str, str] = {}

    def next(self) -> None:
        """The next question, or the conversion when all are answered."""
        left = [target for target in TARGETS if target not in self._answers]
        if not left:
            work(self._screen, self._convert, group="convert", exclusive=True)
            return
        target = left[0]
        words = shell(self._screen).words
        heading = f"{words('crm.convert')} · {words(f'crm.{target}')}"
        self._screen.app.push_screen(
            PickScreen(heading, self._choices(target), typing=False),
            lambda answer: self._answered(target, answer),
        )

    def _choices(self, target: str) -> list[Choice]:
        """What is there and alike comes first: a second card of one person is what nobody wants."""
        words, plan = shell(self._screen).words, self._plan
        there = "" if target in plan.drafts else plan.ids.get(target, "")
        alike = [
            Choice(twin.id, one_line(twin.title, 60), words(f"crm.alike_by.{twin.by}"))
            for twin in plan.twins.get(target, [])
            if twin.id and twin.type == target and twin.id != there
        ]
        linked = [Choice(there, words("crm.linked"), one_line(there, 40))] if there else []
        draft = plan.drafts.get(target)
        new = [Choice("new", words("crm.make_new"), title(draft) if draft else "")]
        return [*linked, *alike[:6], *new, Choice("none", words("crm.make_none"))]

    def _answered(self, target: str, answer: str | None) -> None:
        if answer is not None:
            self._answers[target] = answer
            self.next()

    async def _convert(self) -> None:
        frame = wire.ConvertLead(
            rid=0, lead=self._plan.lead["id"], contact=self._answers["contact"],
            company=self._answers["company"], deal=self._answers["deal"],
        )  # fmt: skip
        answer = await self._ask(frame, wire.LeadConverted)
        if isinstance(answer, wire.LeadConverted):
            self._done(answer)


def told(answer: wire.LeadConverted) -> Mapping[str, str]:
    """Target -> id of what a lead became."""
    made = {"contact": answer.contact, "company": answer.company, "deal": answer.deal}
    return {target: id for target, id in made.items() if id}
