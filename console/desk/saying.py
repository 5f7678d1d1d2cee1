"""Words on their way: replies, notes and whispers, corrections, and the sign that one is writing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from console.desk.part import Part
from console.link import new_id
from console.model import Echo
from console.screens.dialogs import Choice, PickScreen
from console.settings import Unconfirmed
from console.shell import shell, work
from console.widgets.composer import ReplyComposer, units
from crm.kernel.records import Message
from router.wire import protocol as wire
from router.wire.protocol import MAX_TEXT, SessionView

if TYPE_CHECKING:
    from console.desk.screen import MainScreen

HOLDS = 6_000
"""ms for which a sign of writing is good."""
TYPING_EVERY = 3_000
"""ms between two signs that the operator is writing."""
KINDS = {"out": "reply", "note": "note", "whisper": "whisper"}
Words = wire.Say | wire.Note | wire.Whisper
KIND_OF: dict[type[wire.Frame], str] = {wire.Say: "reply", wire.Note: "note", wire.Whisper: "whisper"}


class Saying(Part):
    """What is written goes to the session it was written for, or back into that session's draft."""

    def __init__(self, desk: MainScreen) -> None:
        super().__init__(desk)
        self.told_typing: dict[str, int] = {}
        """Session -> when the desk was told last that the operator writes there."""
        self._offer = (("", 0), 0)
        """The offer that is open (session, its beginning), and when it was to end first."""

    def say(self, session: str, text: str, editing: str = "", quoting: str = "") -> None:
        """Sends a reply with the attached files, or the correction of an earlier one."""
        app = shell(self.desk)
        if len(text) > MAX_TEXT:
            self._return_text(session, f"edit:{editing}" if editing else "reply", text)
            self.desk.toast(self.desk.explain("too_long", {"limit": str(MAX_TEXT)}), "warning")
            return
        if editing:
            self._correct(session, text, editing)
            return
        coming = self.desk.attaching.uploading.get(session)
        if coming:
            self._return_text(session, "reply", text)
            self._quote_again(session, quoting)
            self.desk.toast(app.words("files.wait", name=coming[0]), "warning")
            return
        files = self.desk.attaching.attached.get(session, [])
        if not text.strip() and not files:
            return
        self._quote_again(session, "")
        self.desk.attaching.attached.pop(session, None)
        self._send(
            wire.Say(rid=0, id=new_id(), session=session, text=text, media=files, reply_to=quoting), "reply"
        )
        self._stop_typing(session)
        self._wrote()

    def _send(self, frame: Words, kind: str, at: int = 0) -> None:
        """On its way, and kept on this computer before it leaves: whatever ends this console, the next one
        knows that it was sent, and with which id."""
        app, session = shell(self.desk), frame.session
        at = at or app.now()
        files = list(frame.media) if isinstance(frame, wire.Say) else []
        names = tuple(media.name for media in files)
        app.picture.echoes[frame.id] = Echo(frame.id, session, kind, frame.text, at, names)
        app.drafts.sent(session, kind, frame.id, Unconfirmed(at, wire.encode_frame(frame).decode()))
        self.desk.save_drafts()

        def refused(why: str) -> None:
            if files:
                self.desk.attaching.attached[session] = [
                    *files,
                    *self.desk.attaching.attached.get(session, []),
                ]
            self._take_back(frame.id, kind)

        self.desk.errands.command(frame, lambda done: self._said(frame, kind, done), refused)

    def resume(self) -> None:
        """Asks what became of what an earlier run of this console has sent, by sending it once more with
        the same id: the desk does it at most once. What is too old for that is a draft again."""
        app = shell(self.desk)
        for kept in app.drafts.unconfirmed():
            frame = wire.decode_client(kept.frame)
            if not isinstance(frame, Words) or frame.id in app.picture.echoes:
                continue
            kind = KIND_OF[type(frame)]
            frame.again = True
            if app.now() - kept.at < wire.REMEMBERED * 1000:
                self._send(frame, kind, kept.at)
            else:
                app.drafts.confirmed(frame.session, kind, frame.id)
                self._return_text(frame.session, kind, frame.text)
                self.desk.toast(self.desk.explain("maybe_done", {}), "warning")
        self.desk.thread.sync()

    # -------------------------------------------------------------- too much for one message

    def ask_how_long_goes(self, session: str) -> None:
        """What is written is more than one message: as a file, or in parts; Escape goes on writing. The
        first answer sends nothing: Enter pressed once more must not."""
        words, reply = shell(self.desk).words, self.desk.reply
        if self.desk.app.screen is not self.desk or reply.session != session:
            return
        choices = [Choice("file", words("long.file"))]
        if len(reply.text) <= MAX_TEXT:
            choices.append(Choice("parts", words("long.parts")))
        title = words("long.title", n=units(reply.text), limit=reply.limit)

        def chosen(how: str | None) -> None:
            if reply.session != session or reply.locked or how is None:
                return
            if how == "parts":
                reply.submit(in_parts=True)
            else:
                work(self.desk, partial(self._reply_as_file, session, reply.text), group="upload")

        self.desk.keeper.about(PickScreen(title, choices, typing=False), session, chosen)

    async def _reply_as_file(self, session: str, text: str) -> None:
        """The text leaves the composer when it is at the desk, and not before; what has been written
        behind it meanwhile stays."""
        if not await self.desk.attaching.attach_text(session, text):
            return
        draft = shell(self.desk).drafts.get(session, "reply")
        if draft.startswith(text):
            shell(self.desk).drafts.set(session, "reply", draft[len(text) :].lstrip("\n"))
            if self.desk.reply.session == session and not self.desk.reply.editing:
                self.desk.reply.turn_to(session)

    def ask_about_paste(self, session: str, text: str, kind: str) -> None:
        """More than a composer takes has been pasted, and none of it is there."""
        words = shell(self.desk).words
        if kind != "reply" or self.desk.app.screen is not self.desk or self.desk.reply.editing:
            self.desk.toast(self.desk.explain("too_long", {"limit": str(MAX_TEXT)}), "warning")
            return

        def chosen(how: str | None) -> None:
            if how is not None:
                work(self.desk, partial(self.desk.attaching.attach_text, session, text), group="upload")

        title = words("long.title", n=units(text), limit=self.desk.reply.limit)
        self.desk.keeper.about(
            PickScreen(title, [Choice("file", words("long.file"))], typing=False), session, chosen
        )

    # -------------------------------------------------------------- notes and whispers

    def put_note(self, session: str, text: str) -> None:
        self._put(wire.Note(rid=0, id=new_id(), session=session, text=text), "note")

    def put_whisper(self, session: str, text: str) -> None:
        self._put(wire.Whisper(rid=0, id=new_id(), session=session, text=text), "whisper")

    def _put(self, frame: wire.Note | wire.Whisper, kind: str) -> None:
        """What only colleagues see; refused, it returns to its own composer."""
        self._send(frame, kind)
        self._stop_typing(frame.session)
        self._wrote()

    def _wrote(self) -> None:
        self.desk.thread.sync()
        self.desk.thread.scroll_end(animate=False, immediate=True, force=True)
        self.desk.places.lay_out()

    def _said(self, frame: wire.SessionCommandFrame, kind: str, done: wire.Done) -> None:
        """The desk has it. The echo stays until the message itself arrives."""
        picture, echo = shell(self.desk).picture, frame.id
        shell(self.desk).drafts.confirmed(frame.session, kind, echo)
        known = picture.echoes.get(echo)
        if known is None:
            return
        known.message = done.message
        thread = picture.threads.get(known.session)
        if not done.message or thread is None or done.message in thread.by_id:
            del picture.echoes[echo]
            self.desk.thread.sync()

    def _take_back(self, echo: str, kind: str) -> None:
        """Refused: what was written returns to its composer, before what is there by now."""
        app = shell(self.desk)
        known = app.picture.echoes.pop(echo, None)
        if known is None:
            return
        app.drafts.confirmed(known.session, kind, echo)
        self._return_text(known.session, kind, known.text)
        self.desk.thread.sync()

    def _return_text(self, session: str, kind: str, text: str) -> None:
        """Puts a text back into the draft it came from, before what has been written there since;
        whatever conversation the composers show by now."""
        drafts = shell(self.desk).drafts
        later = drafts.get(session, kind)
        drafts.set(session, kind, text + ("\n" + later if later else ""))
        for composer in (self.desk.reply, self.desk.note, self.desk.whisper):
            if composer.session == session and composer.draft_kind == kind:
                composer.turn_to(session)

    def _quote_again(self, session: str, quoting: str) -> None:
        if self.desk.reply.session == session and not self.desk.reply.editing:
            self.desk.reply.quoting = quoting

    def _correct(self, session: str, text: str, message: str) -> None:
        if text.strip():
            frame = wire.EditMessage(rid=0, id=new_id(), session=session, message=message, text=text)
            self.desk.errands.command(
                frame, refused=lambda _: self._return_text(session, f"edit:{message}", text)
            )
        self.desk.places.lay_out()

    def sent_elsewhere(self, message: Message) -> None:
        """Another console of this operator has sent it: the same text waits here no longer."""
        app, kind = shell(self.desk), KINDS.get(message.direction, "")
        draft = app.drafts.get(message.session, kind) if kind else ""
        if not draft or draft.strip() != message.text.strip():
            return
        app.drafts.set(message.session, kind, "")
        for composer in (self.desk.reply, self.desk.note, self.desk.whisper):
            if composer.session == message.session and composer.draft_kind == kind:
                composer.turn_to(message.session)
        self.desk.toast(app.words("drafts.sent_elsewhere"))

    # -------------------------------------------------------------- the sign of writing

    def typed(self) -> None:
        """The operator is writing: colleagues and, where the channel can, the customer see it; an offer is
        held by it, so the first key in a session tells at once."""
        app, composer = shell(self.desk), self.desk.keeper.in_use
        if app.link is None or composer is None or composer.locked or not composer.session:
            return
        if not composer.text or app.clock() - self.told_typing.get(composer.session, 0) < TYPING_EVERY:
            return
        self.told_typing[composer.session] = app.clock()
        draft = not isinstance(composer, ReplyComposer)
        app.link.hint(wire.Typing(session=composer.session, draft=draft))

    def _stop_typing(self, session: str) -> None:
        link = shell(self.desk).link
        if link is not None and self.told_typing.pop(session, 0):
            link.hint(wire.Typing(session=session, on=False))

    def is_holding(self, view: SessionView) -> bool:
        """Whether an offer goes on because the operator writes into it: its end has moved, and the desk has
        been told within the time that a sign of writing is good for."""
        offer = (view.id, view.offered_at)
        if self._offer[0] != offer:
            self._offer = (offer, view.offer_until)
        writes = shell(self.desk).clock() - self.told_typing.get(view.id, -HOLDS) < HOLDS
        return writes and view.offer_until > self._offer[1]
