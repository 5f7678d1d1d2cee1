"""What clients ask: commands become events of the log, everything else is answered by who knows it."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from crm.kernel.crm_settings import CrmSettings
from crm.kernel.errors import Conflict, NotStored, Refused, Unavailable, WrongUse
from crm.kernel.ports import Store
from crm.kernel.records import MAX_TAGS, Media
from crm.kernel.text import file_name
from crm.operators import accounts
from router.desk import events
from router.desk.state import Known, Session
from router.gateway.answers.admin_requests import Administration
from router.gateway.answers.commands import Answers
from router.gateway.answers.consent_requests import ConsentRequests
from router.gateway.answers.crm_requests import CrmRequests
from router.gateway.answers.current import Current
from router.gateway.answers.customer_requests import CustomerRequests
from router.gateway.answers.funnel_requests import FunnelRequests
from router.gateway.answers.hints import Hints
from router.gateway.answers.line_changes import LineCompiler
from router.gateway.answers.quarantine_requests import QuarantineRequests
from router.gateway.answers.reads import Reads
from router.gateway.answers.search_requests import SearchRequests
from router.gateway.answers.stats_requests import StatisticsRequests
from router.gateway.answers.transfer_requests import TransferRequests
from router.gateway.broadcast import Broadcast
from router.gateway.connection import Connection
from router.gateway.index import people
from router.gateway.picture import Picture
from router.gateway.status import DeskStatus
from router.gateway.tail import JournalTail
from router.history.recent import known_of
from router.log.log import Log
from router.wire import protocol
from router.wire.protocol import Done, Frame

logger = logging.getLogger(__name__)


class Requests:
    """Answers the frames of all connections of one gateway."""

    def __init__(
        self, log: Log, store: Store, picture: Picture, tail: JournalTail, broadcast: Broadcast, status: DeskStatus,
        book: LineCompiler | None = None, crm: CrmSettings | None = None,
    ) -> None:  # fmt: skip
        self._store = store
        self._crm = crm or CrmSettings()
        self._picture = picture
        self.commands = Answers(log)
        self._current = Current(log, store, picture, tail)
        self._hints = Hints(log, picture)
        self.typing = self._hints.typing
        reads = Reads(log, store, picture, broadcast, status, self._current, self._hints)
        self._answers = reads.answers() | QuarantineRequests(log, store).answers()
        objects = CrmRequests(store, picture, self._crm)
        self._answers |= objects.answers() | StatisticsRequests(store, picture, self._crm).answers()
        self._answers |= CustomerRequests(
            log, store, picture, self._current, objects.objects, self._crm.country
        ).answers()
        self._answers |= FunnelRequests(store, objects.objects, self._crm, picture).answers()
        self._answers |= ConsentRequests(log, store, self._crm).answers() | SearchRequests(store).answers()
        self._answers |= TransferRequests(store, objects.objects).answers()
        if book:
            self._answers |= Administration(log, store, book).answers()

    # ---------------------------------------------------------------- commands

    async def handle(self, connection: Connection, frame: Frame) -> None:
        """Answers one request; whatever goes wrong is told in a ``Done``."""
        rid = getattr(frame, "rid", 0)
        try:
            if isinstance(frame, protocol.CommandFrame):
                await self._command(connection, frame)
            elif type(frame) in self._answers:
                await self._answers[type(frame)](connection, frame)
            else:
                raise Refused("unknown")
        except Refused as refused:
            connection.send(Done(rid=rid, code=refused.code, params=refused.params))
        except (Unavailable, TimeoutError):
            connection.send(Done(rid=rid, code="unavailable"))
        except (Conflict, NotStored, WrongUse) as error:
            connection.send(refusal_of(rid, error))
        except Exception:  # one request that cannot be answered costs nobody his connection
            logger.exception("a %s cannot be answered", type(frame).__name__)
            connection.send(Done(rid=rid, code="failed"))

    async def _command(self, connection: Connection, frame: protocol.CommandFrame) -> None:
        id = f"{connection.name}/{frame.id}"
        if self.commands.knows(id):
            # What it was checked against may be different by now, perhaps by what it did itself.
            done = await self.commands.answer(id)
        else:
            done = await self.commands.carry_out(await self._event_or_refusal(connection, frame))
        if done.code == "no_such_session" and isinstance(frame, protocol.SessionCommandFrame):
            done = msgspec.structs.replace(done, code="closed")  # it was there a moment ago
        if isinstance(frame, protocol.Join) and frame.silent and frame.on and not done.code:
            await self._hints.look_away(connection, frame.session)
        connection.send(
            Done(
                rid=frame.rid, code=done.code, params=done.params, session=done.session, message=done.message
            )
        )

    async def _event_or_refusal(self, connection: Connection, frame: protocol.CommandFrame) -> events.Command:
        """Raises ``Refused``; for what may have come before only the desk can say so. A history that does
        not answer is a refusal too: nothing of the command is in the log, and it would hold up what its
        operator says next."""
        try:
            return events.ordered(connection.name, await self._checked(connection, frame))
        except Refused as refused:
            if not frame.again:
                raise
            return events.Declined(
                operator=connection.name,
                event_id=f"{connection.name}/{frame.id}",
                code=refused.code,
                params=refused.params,
            )
        except (Unavailable, TimeoutError):
            if frame.again:
                raise
            raise Refused("history_away") from None

    async def _checked(self, connection: Connection, frame: protocol.CommandFrame) -> protocol.CommandFrame:
        """The command as the desk is to carry it out, after its right was checked. Raises ``Refused``."""
        if isinstance(frame, protocol.Start):
            return await self._start(connection, frame)
        if not isinstance(frame, protocol.SessionCommandFrame):
            if frame.needs:
                raise Refused("no_right", right=frame.needs)
            return frame
        _check_lengths(frame)
        if frame.of_closed:
            session = await self._current.session(frame.session)
            self._check_right(connection, session, frame.needs)
        else:
            session = await self._open_session(connection, frame.session, frame.needs)
        if isinstance(frame, (protocol.Resend, protocol.EditMessage)):
            return await self._about_message(frame, session)
        if isinstance(frame, protocol.Say):
            quoted = frame.reply_to and (await self._current.message(session, frame.reply_to)).external_id
            media = [_well_named(one) for one in frame.media]
            return msgspec.structs.replace(frame, reply_to=quoted, media=media)
        return frame

    async def _open_session(self, connection: Connection, id: str, right: str) -> Session:
        session = await self._current.session(id)
        self._check_right(connection, session, right)
        if id not in self._picture.sessions:
            raise Refused("closed", session=id)
        return session

    def _check_right(self, connection: Connection, session: Session, right: str) -> None:
        guests = (*people(session), session.hand.transfer_from)
        if not connection.access.may(right, session.line, holder=session.holder, guests=guests):
            raise Refused("no_right", right=right, line=session.line)

    async def _about_message(
        self, frame: protocol.Resend | protocol.EditMessage, session: Session
    ) -> protocol.CommandFrame:
        message = await self._current.message(session, frame.message)
        if message.direction != "out":
            raise Refused("no_such_message")
        about: dict[str, Any] = {"session": session.id, "message": message.id}
        if isinstance(frame, protocol.EditMessage):
            if not message.external_id or "edit" not in self._picture.can.get(session.channel, ()):
                raise Refused("cannot_edit")
            return events.EditMessageInFull(
                rid=frame.rid, id=frame.id, external_id=message.external_id, text=frame.text, **about
            )
        if message.delivery not in ("failed", "unknown"):
            raise Refused("not_failed")
        return events.ResendInFull(
            rid=frame.rid,
            id=frame.id,
            text=message.text,
            media=message.media,
            buttons=message.buttons,
            reply_to=message.reply_to,
            **about,
        )

    async def _start(self, connection: Connection, frame: protocol.Start) -> protocol.CommandFrame:
        if not connection.access.may(frame.needs, frame.line):
            raise Refused("no_right", right=frame.needs, line=frame.line)
        _check_lengths(frame)
        channel, _, chat = frame.chat.partition(":")
        found = await self._store.find("customers", {"chats": frame.chat}, limit=1)
        if not found:
            raise Refused("no_such_chat", chat=frame.chat)
        try:
            known = known_of(found[0])
        except msgspec.ValidationError:  # a card that is none; it is his chat all the same
            known = Known(customer=found[0]["_id"])
        return events.StartInFull(
            rid=frame.rid,
            id=frame.id,
            channel=channel,
            chat=chat,
            line=frame.line,
            text=frame.text,
            **msgspec.structs.asdict(known),
        )

    async def remember(self, connection: Connection) -> str:
        """A new token for this login, so that the next one needs no password."""
        token: str = await accounts.new_token(self._store, connection.name)
        return token


def _well_named(media: Media) -> Media:
    """What a client calls a file is a stranger's word until it is cleaned, wherever he has it from."""
    return msgspec.structs.replace(media, name=file_name(media.name)) if media.key and media.name else media


def _check_lengths(frame: protocol.CommandFrame) -> None:
    """Longer texts are refused, never cut."""
    for name in frame.__struct_fields__:
        value = getattr(frame, name)
        limit = protocol.MAX_TEXT if name in ("text", "comment") else protocol.MAX_LINE
        if isinstance(value, str) and len(value) > limit:
            raise Refused("too_long", limit=str(limit))
    if isinstance(frame, protocol.Tag) and len(frame.tags) > MAX_TAGS:
        raise Refused("too_many_tags", limit=str(MAX_TAGS))
    for media in getattr(frame, "media", ()):
        if (
            max(map(len, (media.ref, media.key, media.name, media.mime, media.phone, media.error)))
            > protocol.MAX_LINE
        ):
            raise Refused("too_long", limit=str(protocol.MAX_LINE))


def refusal_of(rid: int, error: Conflict | NotStored | WrongUse) -> Done:
    """What a client is told of an error that trying again does not end."""
    if isinstance(error, Conflict):
        params = {"version": str(error.current.get("version", 0)), "id": str(error.current.get("_id", ""))}
        return Done(rid=rid, code="object_changed", params=params)
    if isinstance(error, NotStored):
        return Done(rid=rid, code="not_stored", params={"why": str(error)})
    return Done(rid=rid, code="bad_cursor")
