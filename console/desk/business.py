"""The way from the desk to its customers' affairs and its figures."""

from __future__ import annotations

from functools import partial

from textual.screen import Screen

from console.desk.part import Part
from console.shell import shell, work


class Business(Part):
    """Opens the pages; they are imported when they are wanted, and a desk that never opens them pays nothing."""

    def do_crm(self) -> None:
        """Leads, deals, contacts, companies and tasks."""
        from console.crm.objects import ObjectsPage

        page = ObjectsPage(shell(self.desk).words("action.crm"), self.desk.errands.ask)
        self._open(page)

    def do_person(self) -> None:
        """Who writes in the conversation: the card over all channels."""
        from console.crm.page import Possible
        from console.crm.person import PersonPage

        view = self.desk.target()
        if view is not None and view.customer:
            page = PersonPage(self.desk.errands.ask, view.customer, Possible())
            self.desk.app.clear_notifications()
            self.desk.keeper.about(page, view.id, lambda _: None)

    def do_tasks(self) -> None:
        """What is to be done, the first due first."""
        from console.crm.objects import ObjectsPage

        words = shell(self.desk).words
        page = ObjectsPage(words("action.tasks"), self.desk.errands.ask, "activity")
        self._open(page)

    def do_figures(self) -> None:
        """The desk's figures, and from there to the conversations behind them."""
        from console.crm.figures import FiguresPage

        page = FiguresPage(shell(self.desk).words("action.figures"), self.desk.errands.ask)
        self._open(page)

    def _open(self, page: Screen[str]) -> None:
        """Without what was told before over its upper corner."""
        self.desk.app.clear_notifications()
        self.desk.app.push_screen(page, self._show)

    def _show(self, session: str | None) -> None:
        """The conversation that was chosen on a page."""
        if session:
            work(self.desk, partial(self.desk.reading.show, session), group="jump", exclusive=True)
