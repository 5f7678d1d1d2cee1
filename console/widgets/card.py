"""What is known of the customer, and his other sessions."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from console.shell import shell
from console.text.words import local
from console.widgets.pane import Pane
from console.widgets.sessions import KINDS
from crm.kernel.text import one_line
from router.wire.protocol import Card


class CardView(Pane, Static, can_focus=True):
    """A customer's card; always plain text, whatever the name contains."""

    DEFAULT_CSS = """
    CardView { height: 1fr; padding: 0 1; overflow-y: auto; background: $background; }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__("", id=id, markup=False)
        self.card: Card | None = None
        """What the desk told of the customer; None while it is being fetched."""
        self._session = ""
        self._shown = Text()

    def put(self, session: str, card: Card | None) -> None:
        """Shows a session's customer."""
        self._session, self.card = session, card
        self.paint()

    def paint(self) -> None:
        """Paints what the picture says now, when that differs from what is shown."""
        text = self._text()
        if text != self._shown:
            self._shown = text
            self.update(text, layout=False)  # its size is the screen's business

    def _text(self) -> Text:
        words, card = shell(self).words, self.card
        view = shell(self).picture.sessions.get(self._session)
        text = Text(overflow="fold", no_wrap=False)
        if view is None:
            return text
        customer = card.customer if card is not None else None
        name = (customer.name if customer is not None else "") or view.name
        text.append(one_line(name or view.chat) + "\n", "bold")
        text.append(f"{one_line(view.kind, 20)} · {one_line(view.line, 30)}\n", "dim")
        status = words.maybe(f"status.{view.status}", words("status.gone"))
        text.append(f"{status}" + (f" · {one_line(view.holder, 40)}" if view.holder else "") + "\n", "dim")
        if view.tags:
            text.append(" ".join(f"#{one_line(tag, 40)}" for tag in view.tags) + "\n", "bold")
        if customer is not None:
            facts = [
                ("@" + customer.username if customer.username else ""),
                customer.phone,
                customer.language,
            ]
            for fact in filter(None, facts):
                text.append(one_line(fact, 80) + "\n")
            if customer.created_at:
                text.append(words("card.since", day=self._day(customer.created_at)) + "\n", "dim")
            for identity in customer.identities[:6]:
                text.append(f"{one_line(identity.channel, 30)} {one_line(identity.value, 60)}\n", "dim")
        if not view.can_write:
            text.append("✗ " + words("card.blocked") + "\n", "bold red")
        if card is None:
            text.append("\n" + words("card.loading"), "dim")
            return text
        text.append(f"\n{words('card.sessions', n=len(card.sessions))}\n", "bold")
        current = shell(self).picture.sessions
        for known in card.sessions[:12]:
            session = current.get(known.id, known)
            state = words.maybe(f"status.{session.status}", session.status)
            kind = KINDS.get(session.kind, one_line(session.kind, 8)[:2].upper())
            text.append(f"{self._day(session.opened_at)} {kind} {state}\n", "dim")
        return text

    def _day(self, at: int) -> str:
        return local(at, shell(self).zone).strftime("%d.%m.%y")
