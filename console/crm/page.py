"""A page of the CRM: the whole screen, with a title, one line of what can be pressed, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from textual.containers import Vertical

from console.screens.dialogs import T
from console.screens.listing import Listing
from console.screens.search import Ask
from crm.kernel.access import Reach
from crm.kernel.crm_settings import Funnel
from crm.kernel.fields import ObjectField
from router.wire import protocol as wire


@dataclass
class Possible:
    """What the desk says of its objects: read once for each opening of the pages."""

    fields: Mapping[str, Mapping[str, ObjectField]] = field(default_factory=dict)
    may: Mapping[str, Mapping[str, Reach]] = field(default_factory=dict)
    funnels: Mapping[str, Mapping[str, Funnel]] = field(default_factory=dict)
    currency: str = ""

    @classmethod
    def told(cls, frame: wire.CrmDeclared) -> Possible:
        fields = {of: {one.name: one for one in those} for of, those in frame.fields.items()}
        return cls(fields, frame.may, frame.funnels, frame.currency)

    def can(self, of: str, verb: str) -> bool:
        """Whether this login may do it with any object of the type."""
        return self.may.get(of, {}).get(verb, "none") != "none"


class CrmPage(Listing[T]):
    """Over the whole screen; Escape goes back to where one came from."""

    DEFAULT_CSS = """
    CrmPage {
        background: $background;
        & .box { width: 100%; max-width: 100%; height: 100%; max-height: 100%; }
        & #tabs { height: 1; width: 100%; }
        & #query { display: none; }
        & #query.on { display: block; }
    }
    """

    def __init__(self, title: str, ask: Ask) -> None:
        super().__init__(title, ask)
        self.declared = Possible()

    async def declare(self) -> bool:
        """Reads what there can be; False when the desk did not say."""
        found = await self._ask(wire.GetCrm(rid=0), wire.CrmDeclared)
        if isinstance(found, wire.CrmDeclared):
            self.declared = Possible.told(found)
        return isinstance(found, wire.CrmDeclared)

    def frame_title(self, text: str) -> None:
        self.query_one(".box", Vertical).border_title = text
