"""Where everything stands: panes by width, titles in the rules, and what the footer may offer."""

from __future__ import annotations

from textual.widgets import Static

from console.actions import Situation
from console.model import HELD, OPEN
from console.paint import media_label
from console.screens.base import DeskScreen
from console.shell import shell
from console.widgets.chrome import Divider, Part, ReplyRule, Rule
from console.words import hour
from console.wrap import fit
from crm.text import one_line

PROMPTS = {"reply": ">", "note": "✎", "whisper": "»"}
WIDE, MEDIUM = 100, 70
"""Columns from which all three panes stand side by side, and from which two do."""


class Layout(DeskScreen):
    """Lays the parts out and says what the keys mean now."""

    # -------------------------------------------------------------- layout

    @property
    def form(self) -> str:
        width = self.app.size.width
        return "wide" if width >= WIDE else "medium" if width >= MEDIUM else "narrow"

    def shown(self) -> tuple[bool, bool, bool]:
        """Which of list, middle and card are on screen."""
        settings = shell(self).settings
        if self.form == "narrow":
            return self.pane == "list", self.pane == "thread", self.pane == "card"
        if self.form == "medium":
            return settings.show_list, self.pane != "card", self.pane == "card"
        return settings.show_list, True, settings.show_card

    def lay_out(self) -> None:
        """Gives each pane its place; called when size, pane or session changed."""
        width = self.app.size.width
        has_list, has_middle, has_card = self.shown()
        list_width = width - 2 if self.form == "narrow" else max(24, min(36, width * 23 // 100))
        card_width = max(22, min(32, width * 20 // 100)) if self.form == "wide" else 0
        middle = width - 2
        if has_list and self.form != "narrow":
            middle -= list_width + 1
        if has_card and self.form == "wide":
            middle -= card_width + 1
        if not has_middle and has_card:
            card_width = middle
        self.sessions.display = has_list
        self.sessions.styles.width = list_width
        self.query_one("#middle").display = has_middle
        self.query_one("#edge-list").display = has_list and self.form != "narrow"
        self.query_one("#edge-card").display = has_card and has_middle
        self.card.display = has_card
        self.card.styles.width = card_width
        self._widths = (
            list_width if has_list else 0,
            middle if has_middle else 0,
            card_width if has_card else 0,
        )
        self._compose_for()
        self.frame()

    def _compose_for(self) -> None:
        """Shows the composer that fits: none for a session that cannot be written to."""
        view = self.view
        self.query_one("#blank").display = view is None
        self.thread.display = view is not None
        writable = view is not None and (self.can_write(view) or self.writing != "reply")
        self.query_one("#reply-rule").display = view is not None
        self.query_one("#writing").display = writable
        for composer in (self.reply, self.note, self.whisper):
            composer.display = composer.kind == self.writing
        self.query_one("#prompt", Static).update(PROMPTS[self.writing])
        self.query_one("#prompt").set_classes(self.writing)
        files = self.query_one("#files", Static)
        words = shell(self).words
        labels = [media_label(words, media) for media in self.files]
        labels += [words("files.sending", name=name) for name in self.uploading.get(self.session, ())]
        files.display = bool(labels) and self.writing == "reply"
        files.update("  ".join(labels))
        if view is None:
            off = shell(self).picture.me.duty == "offline"
            text = words("main.off_duty") + "\n" + words("main.blank") if off else words("main.blank")
            self.query_one("#blank", Static).update(text)

    def frame(self) -> None:
        """Writes the titles into the rules and joins the borders."""
        words = shell(self).words
        view = self.view
        parts: list[Part] = []
        lists, middle, card = self._widths
        if lists:
            parts.append(Part(lists, words("list.mine")))
        if middle:
            parts.append(Part(middle, *self._thread_title()))
        if card:
            parts.append(Part(card, words("card.title")))
        self.query_one("#top", Rule).put(parts)
        self.query_one("#bottom", Rule).put([Part(part.width) for part in parts])
        if view is not None:
            self.query_one(ReplyRule).put([self._reply_title(middle)])
        self.call_after_refresh(self._join)

    def _join(self) -> None:
        """The dividers meet the reply rule where it is now."""
        if not self.is_running:
            return
        rule = self.query_one("#reply-rule")
        for edge in self.query(Divider):
            visible = rule.display and self._widths[1] > 0
            near = edge.id in self._neighbours()
            edge.put_joint(rule.region.y - edge.region.y if visible and near else -1)

    def _neighbours(self) -> tuple[str, str]:
        lists, _, card = self._widths
        return "edge-list" if lists else "edge-left", "edge-card" if card else "edge-right"

    def _thread_title(self) -> tuple[str, str]:
        view, app = self.view, shell(self)
        if view is None:
            return "", ""
        kind = app.words.maybe(f"channel.{view.kind}", view.kind.capitalize())
        title = f"{one_line(view.name or view.chat, 60)} · {one_line(kind, 20)} · {one_line(view.line, 30)}"
        marks = [app.words("main.vip")] if view.vip else []
        marks += [f"P{view.priority}"] if view.priority else []
        if view.silent:
            names = ", ".join(one_line(name, 30) for name in view.silent[:3])
            marks.append(app.words("main.silent", names=names))
        return " · ".join((title, *marks)), self._promise_text()

    def _promise_text(self) -> str:
        """The right end of the thread's title: what is owed, or what the session is."""
        view, app = self.view, shell(self)
        assert view is not None
        picture, words, now = app.picture, app.words, app.now()
        if picture.is_offered(view):
            ends = words("main.offer_ends", span=words.span(view.offer_until - now))
            return f"{self._offer_text()} · {ends}" if self._offer_text() else ends
        if self.thread.below:
            return words("main.below", n=self.thread.below)
        if view.snoozed and view.status in OPEN:
            until = hour(view.snoozed, app.zone)
            return words("main.snoozed_written") if view.snoozed < 0 else words("main.snoozed", at=until)
        promise = picture.promise(view)
        if picture.is_mine(view) and promise:
            key = "main.answer_in" if promise >= now else "main.answer_late"
            if not view.first_answer_at:
                key = "main.first_in" if promise >= now else "main.first_late"
            return words(key, span=words.span(abs(promise - now)))
        if view.status in HELD and view.holder and not picture.is_mine(view):
            return words("main.held_by", name=one_line(view.holder, 40))
        if view.status == "bot":
            return words("main.with_bot", name=one_line(view.bot, 40))
        others = sorted(picture.looking.get(view.id, set()) - {picture.operator})
        if others:
            return words("main.looking", names=", ".join(one_line(n, 30) for n in others[:3]))
        status = words.maybe(f"status.{view.status}", words("status.gone"))
        return f"{status} · {words('main.rated', score=view.rating)}" if view.rating else status

    def _offer_text(self) -> str:
        """Why an offer comes to this operator before others; empty for an ordinary one."""
        view, words = self.view, shell(self).words
        assert view is not None
        if view.transfer_from:
            return words("offer.transfer", name=one_line(view.transfer_from, 30))
        return words.maybe(f"offer.{view.offer_kind}", view.offer_kind) if view.offer_kind else ""

    def _reply_title(self, width: int) -> Part:
        view, words = self.view, shell(self).words
        assert view is not None
        room = self.composer.room
        right = words("main.room", n=room) if room >= 0 else ""
        if self.writing != "reply":
            return Part(width, words(f"main.{self.writing}"), right, self.writing)
        if self.editing:
            return Part(width, words("main.editing"), right, "note")
        if self.quoting:
            return Part(width, words("main.quoting", text=fit(self.quote_text(), 40).strip()), right)
        if not self.can_write(view):
            return Part(width, self._why_not(), "", "faint")
        return Part(width, words("main.reply"), right)

    def _why_not(self) -> str:
        view, app = self.view, shell(self)
        assert view is not None
        if not view.can_write:
            return app.words("main.blocked")
        if view.status in OPEN:
            return app.words("main.not_yours")
        return app.words("main.ended")

    # -------------------------------------------------------------- keys

    def situation(self) -> Situation:
        """What the actions need to know to say whether they apply."""
        app = shell(self)
        focus = self.area()
        view = self.target()
        message = self.thread.selected_message() if focus == "thread" else None
        return Situation(
            focus=focus,
            session=view,
            mine=view is not None and app.picture.is_mine(view),
            offered=view is not None and app.picture.is_offered(view),
            can_write=view is not None and self.can_write(view),
            pending_undo=self.delayed is not None,
            failed=focus == "thread" and self.thread.trouble() is not None,
            message=message is not None,
            file=focus == "thread" and bool(self.thread.files()),
            own_message=message is not None
            and message.direction == "out"
            and message.author == app.picture.operator,
            off_duty=bool(app.picture.operator) and app.picture.me.duty == "offline",
            may=app.picture.may(view.line) if view is not None else frozenset(),
            leader="lead" in app.picture.rights,
            owed=app.picture.owes(),
        )

    def refresh_keys(self) -> None:
        self.keys.put(self.situation(), self.undo_text())

    def undo_text(self) -> str:
        if self.delayed is None:
            return ""
        left = max(0, self.delayed.due - shell(self).clock())
        return f"{self.delayed.text} ({-(-left // 1000)})"
