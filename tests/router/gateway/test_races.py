"""What happens while the gateway waits for the store: nobody is answered from what was true before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from crm.conversations import history
from crm.kernel.errors import Unavailable
from router.desk.events import Delivered, OperatorChanged
from router.history.projector import Projector
from router.log.ahead import Ahead
from router.log.log import Log
from router.wire import protocol
from router.wire.protocol import Bye, Changes, Page, SessionList, Snapshot, Welcome
from tests.conftest import until
from tests.router.desk_in_process import DeskInProcess, deliveries, running_desk


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    async with running_desk(log, tmp_path) as desk:
        yield desk


async def test_a_session_that_begins_while_the_store_is_asked_is_found(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    boss = await desk.login("boss")
    real = history.session

    async def slow(store: Any, id: str) -> Any:
        found = await real(store, id)
        await desk.write("ali", "hi")
        await until(lambda: id in desk.gateway.picture.sessions)
        return found

    monkeypatch.setattr(history, "session", slow)
    answer = await boss.ask(protocol.GetThread, session="1")
    assert isinstance(answer, Page), answer
    assert [m.text for m in answer.messages] == ["hi"]


async def test_a_session_that_has_just_ended_is_known_before_the_store_has_it(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    anna, boss = await desk.login("anna"), await desk.login("boss")
    await desk.stop("projector")
    await desk.write("ali", "hi")
    await until(lambda: desk.gateway.picture.sessions)
    assert (await anna.ask(protocol.Close, session="1")).code == ""
    await until(lambda: not desk.gateway.picture.sessions)
    answer = await anna.ask(protocol.GetThread, session="1")
    assert isinstance(answer, Page), answer
    assert answer.session is not None
    assert (answer.session.status, answer.session.holder) == ("closed", "anna")
    assert (await boss.ask(protocol.Score, session="1", score=4)).code == ""
    desk.start("projector", Projector(desk.log, desk.store))


async def test_no_session_is_listed_twice_when_it_ends_meanwhile(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.duty("anna")
    anna = await desk.login("anna")
    other = await desk.login("anna")
    await desk.write("ali", "hi")
    await until(lambda: desk.gateway.picture.sessions)
    real = history.sessions

    async def slow(store: Any, **wanted: Any) -> Any:
        assert (await other.ask(protocol.Close, session="1")).code == ""
        await until(lambda: _closed(desk))
        return await real(store, **wanted)

    monkeypatch.setattr(history, "sessions", slow)
    answer = await anna.ask(protocol.GetSessions)
    assert isinstance(answer, SessionList)
    assert [view.id for view in answer.sessions] == ["1"]


async def _closed(desk: DeskInProcess) -> bool:
    return bool(await desk.store.find("sessions", {"_id": "1", "status": "closed"}))


async def test_a_message_sent_again_still_quotes(desk: DeskInProcess) -> None:
    await desk.duty("anna")
    anna = await desk.login("anna")
    await desk.write("ali", "narxi?")
    await anna.until(lambda f: isinstance(f, Changes) and f.messages)
    said = await anna.ask(protocol.Say, session="1", text="99", reply_to="1-1")
    await desk.log.append(
        Delivered(chat="bot:ali", session="1", message=said.message, state="failed", event_id="f1")
    )
    await anna.until(lambda f: isinstance(f, Changes) and any(c.delivery == "failed" for c in f.changes))
    assert (await anna.ask(protocol.Resend, session="1", message=said.message)).code == ""
    first, again = await deliveries(desk.log, "bot")
    assert first.reply_to
    assert again.reply_to == first.reply_to


async def test_every_client_hears_which_results_there_are(desk: DeskInProcess) -> None:
    await until(lambda: desk.worker.desk.configured.lines)
    configured = desk.worker.desk.configured
    lines = {
        name: structs.replace(rules, results=["sold", "not sold"]) for name, rules in configured.lines.items()
    }
    await desk.log.append(structs.replace(configured, lines=lines))
    await desk.duty("anna")
    anna = await desk.login("anna")
    await desk.write("ali", "hi")
    await until(lambda: desk.gateway.picture.sessions)
    for result in ("", "perhaps"):
        done = await anna.ask(protocol.Close, session="1", result=result)
        assert (done.code, done.params) == ("needs_result", {"results": "sold, not sold"})
    assert (await anna.ask(protocol.Close, session="1", result="sold")).code == ""


# ------------------------------------------------------------------ logins


async def slowed(desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch, meanwhile: Any) -> Any:
    """Something happens between the check of a token and the greeting."""
    logins = desk.gateway._logins
    real = logins.check

    async def check(*given: Any) -> Any:
        found = await real(*given)
        monkeypatch.setattr(logins, "check", real)
        await meanwhile()
        return found

    monkeypatch.setattr(logins, "check", check)
    client = await desk.raw(token=desk.tokens["anna"], watch=["1"])
    return client, await client.next()


@pytest.mark.parametrize("how", [{"revoked": ["*"]}, {"disabled": True}])
async def test_a_login_that_is_revoked_while_it_is_checked_is_not_let_in(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]
) -> None:
    other = await desk.login("anna")

    async def revoke() -> None:
        await desk.log.append(OperatorChanged(name="anna", **how))
        await other.until(Bye)  # the gateway has heard of it

    client, first = await slowed(desk, monkeypatch, revoke)
    assert isinstance(first, Bye), first
    assert first.code == "revoked"
    assert not desk.gateway.broadcast.of_operator.get("anna")
    with pytest.raises(ConnectionError):
        await client.next()


async def test_a_token_revoked_while_another_logs_in_ends_only_that_one(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    boss = await desk.login("boss")

    async def revoke() -> None:
        await desk.log.append(OperatorChanged(name="boss", role="supervisor", revoked=["*"]))
        await boss.until(Bye)

    _, first = await slowed(desk, monkeypatch, revoke)
    assert isinstance(first, Welcome)


async def test_rights_that_change_while_a_login_is_checked_hold_from_the_greeting_on(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def change() -> None:
        await desk.log.append(OperatorChanged(name="anna", role="supervisor", lines=["support"]))
        await until(lambda: desk.gateway.picture.operators["anna"].role == "supervisor")

    _, first = await slowed(desk, monkeypatch, change)
    assert isinstance(first, Welcome)
    assert (first.role, first.rights["lead"]) == ("supervisor", ["support"])


async def test_when_part_of_the_journal_is_gone_everybody_logs_in_again(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The revocation of one of them may have been in it."""
    await desk.write("ali", "hi")
    await until(lambda: desk.gateway.picture.sessions)
    anna = await desk.login("anna")
    real = Ahead.read

    async def lost(ahead: Ahead, *given: Any, **more: Any) -> Any:
        if ahead._key != desk.log.keys.journal:
            return await real(ahead, *given, **more)
        monkeypatch.setattr(Ahead, "read", real)
        await desk.log.redis.delete(desk.log.keys.journal)
        raise Unavailable("gone")

    await desk.stop("projector")
    monkeypatch.setattr(Ahead, "read", lost)
    await desk.write("ali", "wakes the gateway, which has asked already")
    bye = await anna.until(Bye)
    assert bye.code == "unavailable"
    again = await desk.login("anna")
    await again.until(Snapshot)
