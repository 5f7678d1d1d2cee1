"""Gateways of an older version beside a newer router: what they do not understand disturbs nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from crm.kernel.errors import UnsupportedQuery
from router.log.log import Log, now_ms
from router.wire import protocol
from tests.conftest import until
from tests.router.desk_in_process import running_desk


async def test_an_entry_of_a_newer_version_disturbs_no_console(log: Log, tmp_path: Path) -> None:
    """In a rolling upgrade the newer router tells what this gateway has never heard of."""
    newer = {
        "at": now_ms(),
        "told": [{"t": "Hologram", "beam": "blue"}, {"t": "Alert", "name": "no_answer", "at": 1}],
        "sessions": [{"id": "99", "chat": "bot:z", "status": "levitating"}],
        "operators": [{"name": ["x"]}],
    }
    async with running_desk(log, tmp_path) as desk:
        boss = await desk.login("boss")
        follower = await desk.login("root")
        await follower.ask(protocol.Follow)
        await desk.write("ali", "before")
        await boss.until(lambda f: isinstance(f, protocol.Changes) and f.lines)
        for data in (msgspec.msgpack.encode(newer), b"\xc1", b""):
            await log.redis.xadd(log.keys.journal, {"e": data})
        await log.redis.publish(log.keys.hints, b'{"kind": {"of": "another version"}}')
        await log.redis.publish(log.keys.hints, b"\xff")
        await boss.until(lambda f: isinstance(f, protocol.Changes) and f.alerts)
        await desk.write("bek", "after")
        await follower.until(
            lambda f: isinstance(f, protocol.DeskEvent) and f.type == "message" and f.data["text"] == "after"
        )
        again = await desk.login("boss", since=boss.last_id())
        assert isinstance(await again.ask(protocol.GetStatus), protocol.StatusReport)
        assert not boss.socket.closed


async def test_a_saved_state_of_a_newer_version_disturbs_no_console(log: Log, tmp_path: Path) -> None:
    async with running_desk(log, tmp_path) as desk:
        await desk.write("ali", "hello")
        await until(lambda: desk.gateway.picture.sessions)
        await log.redis.hset(log.keys.sessions, "99", b"\xc1")
        await log.redis.hset(log.keys.operators, "zed", b"\xc1")
        await desk.stop("gateway")
        desk.gateway._ready.clear()
        desk.start("gateway", desk.gateway)
        boss = await desk.login("boss")
        assert [s.chat for s in (await boss.until(protocol.Snapshot)).sessions] == ["bot:ali"]


async def test_an_entry_that_the_gateway_cannot_take_up_costs_a_login(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_desk(log, tmp_path) as desk:
        boss = await desk.login("boss")
        await boss.until(protocol.Snapshot)
        real = desk.gateway.picture.apply
        failed: list[Any] = []

        def failing(entry: Any) -> Any:
            if entry.sessions and entry.sessions[0].chat == "bot:ali" and not failed:
                failed.append(entry)
                raise KeyError
            return real(entry)

        monkeypatch.setattr(desk.gateway.picture, "apply", failing)
        await desk.write("ali", "hello")
        assert (await boss.until(protocol.Bye)).code == "unavailable"
        boss = await desk.login("boss")
        assert [s.chat for s in (await boss.until(protocol.Snapshot)).sessions] == ["bot:ali"]
        await desk.write("bek", "hello")
        await boss.until(
            lambda f: isinstance(f, protocol.Changes) and any(s.chat == "bot:bek" for s in f.sessions)
        )
        assert len(failed) == 1


async def test_who_leads_is_told_that_something_was_set_aside(log: Log, tmp_path: Path) -> None:
    async with running_desk(log, tmp_path) as desk:
        people = [await desk.login(name) for name in ("boss", "root", "anna")]
        await log.redis.xadd(log.keys.log, {"e": b"\xc1"})
        for leader in people[:2]:
            frame = await leader.until(lambda f: isinstance(f, protocol.Changes) and f.alerts)
            assert [alert.name for alert in frame.alerts] == ["set_aside"]
        await desk.duty("anna")
        anna = people[2]
        await anna.until(lambda f: isinstance(f, protocol.Changes) and f.operators)
        assert not any(f.alerts for f in anna.frames if isinstance(f, protocol.Changes))


async def test_lines_of_a_newer_version_are_shown_as_far_as_they_are_understood(
    log: Log, tmp_path: Path
) -> None:
    async with running_desk(log, tmp_path) as desk:
        await desk.write("ali", "hello")
        await until(lambda: desk.gateway.picture.sessions)
        fields = await log.load_fields()
        newer = msgspec.msgpack.decode(fields["configured"])
        newer["lines"]["support"]["mode"] = "by telepathy"
        newer["flows"] = {"greeter": {"steps": "of another kind"}}
        await desk.stop("worker")
        await log.redis.hset(log.keys.desk, "configured", msgspec.msgpack.encode(newer))
        entry = msgspec.msgpack.encode({"at": now_ms(), "lines_changed": True})
        await log.redis.xadd(log.keys.journal, {"e": entry})
        await until(lambda: list(desk.gateway.picture.configured.lines) == ["sales"])
        boss = await desk.login("boss")
        assert [s.chat for s in (await boss.until(protocol.Snapshot)).sessions] == ["bot:ali"]


async def test_a_request_that_cannot_be_answered_costs_nobody_his_connection(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: Any, **__: Any) -> Any:
        raise UnsupportedQuery("odd")

    async with running_desk(log, tmp_path) as desk:
        boss = await desk.login("boss")
        monkeypatch.setattr(desk.store, "find", failing)
        assert (await boss.ask(protocol.GetHistory, customer="c")).code == "failed"
        assert isinstance(await boss.ask(protocol.GetStatus), protocol.StatusReport)
