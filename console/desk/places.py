"""Where everything stands: panes by width, and titles in the rules."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Static

from console.actions import WRITING
from console.desk.part import Part
from console.model import HELD, OPEN
from console.shell import shell
from console.standing import OVER
from console.text.paint import media_label
from console.text.words import hour
from console.text.wrap import fit
from console.widgets.chrome import Divider, PaneHead, Prompt, ReplyRule, Rule
from console.widgets.composer import Composer
from crm.kernel.text import one_line
from router.wire.protocol import SessionView

if TYPE_CHECKING:
    from console.desk.screen import MainScreen

WIDE, MEDIUM = 100, 70
"""Columns from which all three panes stand side by side, and from which two do."""


def put_text(static: Static, text: str, *, layout: bool = True) -> None:
    """Shows a text if it is another one: also one that is the same would have everything laid out again."""
    if static.content != text:
        static.update(text, layout=layout)


class Places(Part):
    """Lays the panes out and frames them."""

    def __init__(self, desk: MainScreen) -> None:
        super().__init__(desk)
        self.pane = "list"
        """The pane in front where not all fit: ``list``, ``thread`` or ``card``."""
        self._widths = (0, 0, 0)

    # -------------------------------------------------------------- layout

    @property
    def form(self) -> str:
        width = self.desk.app.size.width
        return "wide" if width >= WIDE else "medium" if width >= MEDIUM else "narrow"

    def shown(self) -> tuple[bool, bool, bool]:
        """Which of list, middle and card are on screen."""
        settings = shell(self.desk).settings
        if self.form == "narrow":
            return self.pane == "list", self.pane == "thread", self.pane == "card"
        if self.form == "medium":
            return settings.show_list, self.pane != "card", self.pane == "card"
        return settings.show_list, True, settings.show_card

    def lay_out(self) -> None:
        """Gives each pane its place; called when size, pane or session changed."""
        width = self.desk.app.size.width
        if self.form == "narrow" and isinstance(self.desk.focused, Composer):
            self.pane = "thread"  # where he writes stays in front when the window becomes narrow
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
        self.desk.sessions.display = has_list
        self.desk.sessions.styles.width = list_width
        self.desk.query_one("#middle").display = has_middle
        self.desk.query_one("#edge-list").display = has_list and self.form != "narrow"
        self.desk.query_one("#edge-card").display = has_card and has_middle
        self.desk.card.display = has_card
        self.desk.card.styles.width = card_width
        self._widths = (
            list_width if has_list else 0,
            middle if has_middle else 0,
            card_width if has_card else 0,
        )
        self.compose_for()
        self.keep_focus_seen()
        self.frame()

    def keep_focus_seen(self) -> None:
        """A pane that is no longer there gives the focus to one that is, the card first where it has come
        in front, else the conversation."""
        if self.desk.focused is None or all(node.display for node in self.desk.focused.ancestors_with_self):
            return
        panes: list[Widget] = [self.desk.thread, self.desk.sessions, self.desk.card]
        if self.pane == "card" and self.form != "wide":
            panes.reverse()
        for pane in panes:
            if all(node.display for node in pane.ancestors_with_self):
                self.desk.set_focus(pane)
                return
        self.desk.set_focus(None)

    def compose_for(self) -> None:
        """Shows the composer that fits: none for a session that cannot be written to."""
        if not self.desk.is_attached:
            return  # an answer of the desk that comes while the console ends
        view = self.desk.view
        self.desk.query_one("#blank").display = view is None
        self.desk.thread.display = view is not None
        writable = view is not None and (self.desk.can_write(view) or self.desk.writing != "reply")
        self.desk.query_one("#reply-rule").display = view is not None
        # one that is in use stays, whatever has become of its conversation
        self.desk.query_one("#writing").display = writable or bool(self.desk.composer.locked)
        for composer in (self.desk.reply, self.desk.note, self.desk.whisper):
            composer.display = composer.kind == self.desk.writing
        files = self.desk.query_one("#files", Static)
        words = shell(self.desk).words
        labels = [media_label(words, media) for media in self.desk.attaching.files]
        labels += [
            words("files.sending", name=name)
            for name in self.desk.attaching.uploading.get(self.desk.session, ())
        ]
        files.display = bool(labels) and self.desk.writing == "reply"
        put_text(files, "  ".join(labels))
        if view is None:
            off = shell(self.desk).picture.me.duty == "offline"
            text = words("main.blank" if self.shown()[0] else "main.hidden")
            text = words("main.off_duty") + "\n" + text if off else text
            put_text(self.desk.query_one("#blank", Static), text, layout=False)

    def frame(self) -> None:
        """Writes the titles into the rules and joins the borders."""
        words = shell(self.desk).words
        view = self.desk.view
        parts: list[PaneHead] = []
        lists, middle, card = self._widths
        area = self.desk.area()
        if lists:
            parts.append(PaneHead(lists, words("list.mine"), focused=area == "list"))
        if middle:
            parts.append(PaneHead(middle, *self._thread_title(), focused=area == "thread"))
        if card:
            parts.append(PaneHead(card, words("card.title"), focused=area == "card"))
        self.desk.query_one("#top", Rule).put(parts)
        self.desk.query_one("#bottom", Rule).put([PaneHead(part.width) for part in parts])
        if view is not None:
            title = self._reply_title(middle)
            self.desk.query_one(ReplyRule).put([replace(title, focused=area in (*WRITING, "locked"))])
        writes = area in (*WRITING, "locked")
        self.desk.query_one(Prompt).put(
            "locked" if self.desk.composer.locked else self.desk.writing, focused=writes
        )
        self._join()  # where nothing moves, in the same paint
        self.desk.call_after_refresh(self._join)

    def _join(self) -> None:
        """The dividers meet the reply rule where it is now."""
        if not self.desk.is_running:
            return
        rule = self.desk.query_one("#reply-rule")
        for edge in self.desk.edges:
            visible = rule.display and self._widths[1] > 0
            near = edge.id in self._neighbours()
            joint = rule.region.y - edge.region.y if visible and near else -1
            edge.put_joint(joint)
            edge.put_beside(self._beside(edge, joint))

    def _beside(self, edge: Divider, joint: int) -> range:
        """The rows of a divider that stand beside the pane with the focus."""
        area, height = self.desk.area(), edge.size.height
        middle = self._widths[1]
        sides = {
            "list": ("edge-left", "edge-list" if middle else "edge-right"),
            "card": ("edge-card" if middle else "edge-left", "edge-right"),
        }.get(area, self._neighbours() if area else ("", ""))
        if edge.id not in sides:
            return range(0)
        if area in ("list", "card"):
            return range(height)
        at = joint if joint >= 0 else height
        return range(at) if area == "thread" else range(at + 1, height)

    def _neighbours(self) -> tuple[str, str]:
        lists, _, card = self._widths
        return "edge-list" if lists else "edge-left", "edge-card" if card else "edge-right"

    def _thread_title(self) -> tuple[str, str]:
        view, app = self.desk.view, shell(self.desk)
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
        view, app = self.desk.view, shell(self.desk)
        assert view is not None
        picture, words, now = app.picture, app.words, app.now()
        if picture.is_offered(view):
            key = "main.holding" if self.desk.saying.is_holding(view) else "main.offer_ends"
            ends = words(key, span=words.span(view.offer_until - now))
            return f"{self._offer_text()} · {ends}" if self._offer_text() else ends
        if self.desk.thread.below:
            return words("main.below", n=self.desk.thread.below)
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
        view, words = self.desk.view, shell(self.desk).words
        assert view is not None
        if view.transfer_from:
            return words("offer.transfer", name=one_line(view.transfer_from, 30))
        return words.maybe(f"offer.{view.offer_kind}", view.offer_kind) if view.offer_kind else ""

    def _room(self) -> str:
        """How much may still be written, when that matters."""
        words, used = shell(self.desk).words, self.desk.composer.used
        if used is None:
            return ""
        count, limit = used
        return (
            words("main.room", n=limit - count)
            if count <= limit
            else words("main.over", n=count, limit=limit)
        )

    def _reply_title(self, width: int) -> PaneHead:
        view, words = self.desk.view, shell(self.desk).words
        assert view is not None
        right = self._room()
        if self.desk.composer.locked:
            return PaneHead(width, f"✗ {self.desk.composer.locked}", words("main.locked"), "bad")
        if self.desk.writing != "reply":
            return PaneHead(width, words(f"main.{self.desk.writing}"), right, self.desk.writing)
        if self.desk.reply.editing:
            return PaneHead(width, words("main.editing"), right, "note")
        if self.desk.reply.quoting:
            return PaneHead(width, words("main.quoting", text=fit(self.desk.quote_text(), 40).strip()), right)
        if not self.desk.can_write(view):
            kept = words("main.draft_kept") if self.desk.reply.text.strip() else ""
            return PaneHead(width, self.why_not(view), kept, "faint")
        return PaneHead(width, words("main.reply"), right)

    def why_not(self, view: SessionView) -> str:
        """Why nothing can be written in a session."""
        words = shell(self.desk).words
        if not view.can_write:
            return words("main.blocked")
        if view.status in OVER:
            return words("main.ended")
        return words("main.not_yours")
