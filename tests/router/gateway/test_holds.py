"""Keys in a composer hold an offer: what the wire brings of them into the log, and what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from crm.kernel.errors import Unavailable
from router.desk.events import Writing, decode_event
from router.gateway import holds, picture
from router.log.log import Log, now_ms
from router.wire import protocol
from router.wire.protocol import Changes
from tests.conftest import until
from tests.router.desk_in_process import Client, DeskInProcess, running_desk


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    async with running_desk(log, tmp_path) as desk:
        yield desk


async def offered(desk: DeskInProcess, **rules: Any) -> Client:
    """Session 1 is offered to anna for five seconds."""
    await until(lambda: desk.worker.desk.configured.lines)
    configured = desk.worker.desk.configured
    sales = structs.replace(configured.lines["sales"], **{"answer_within": 5000, **rules})
    await desk.log.append(structs.replace(configured, lines={**configured.lines, "sales": sales}))
    await desk.duty("anna")
    anna = await desk.login("anna")
    await desk.write("ali", "hi")
    await anna.until(lambda f: isinstance(f, Changes) and f.messages)
    return anna


async def written(log: Log) -> list[Writing]:
    rows = await log.read_log("0", 1000, 1)
    return [e for e in (decode_event(data) for _, data in rows) if isinstance(e, Writing)]


async def typed(client: Client, times: int = 1, *, draft: bool = False, on: bool = True) -> None:
    """Keys, and all of them have been read when this returns."""
    for _ in range(times):
        await client.send(protocol.Typing(session="1", draft=draft, on=on))
    await client.send(protocol.Ping(at=1))
    await client.until(protocol.Pong)


@pytest.mark.parametrize("draft", [False, True])
async def test_the_moved_end_is_told_and_many_keys_are_one_event(desk: DeskInProcess, draft: bool) -> None:
    anna = await offered(desk)
    before = desk.worker.desk.sessions["1"].offer.until
    pressed = now_ms()
    await anna.send(protocol.Typing(session="1", draft=draft))
    frame = await anna.until(lambda f: isinstance(f, Changes) and f.sessions)
    view = frame.sessions[0]
    assert before < pressed + 10_000 <= view.offer_until <= now_ms() + 10_000
    assert view.offered_at == desk.worker.desk.sessions["1"].offer.began
    await typed(anna, 20, draft=draft)
    assert len(await written(desk.log)) == 1


async def test_another_event_comes_when_the_lease_runs_on(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await offered(desk)
    await typed(anna)
    monkeypatch.setattr(holds, "EVERY", 0)
    await typed(anna)
    assert len(await written(desk.log)) == 2


async def test_a_gateway_whose_clock_is_wrong_holds_all_the_same(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await offered(desk)
    hour = 3_600_000
    for module in (holds, picture):
        monkeypatch.setattr(module, "now_ms", lambda: now_ms() - hour, raising=False)
    monkeypatch.setattr(desk.gateway.picture, "ahead", hour)
    await typed(anna)
    assert len(await written(desk.log)) == 1, "slow by an hour"


async def test_a_gateway_whose_clock_is_set_back_holds_on(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await offered(desk)
    await typed(anna)
    monkeypatch.setattr(holds, "EVERY", 0)
    monkeypatch.setattr(holds, "now_ms", lambda: now_ms() - 60_000, raising=False)
    await typed(anna)
    assert len(await written(desk.log)) == 2


@pytest.mark.parametrize(
    ("rules", "who", "on"),
    [
        ({"answer_within": 60_000}, "anna", True),
        ({"while_writing": "off"}, "anna", True),
        ({}, "bek", True),
        ({}, "anna", False),
    ],
)
async def test_keys_that_would_change_nothing_are_not_in_the_log(
    desk: DeskInProcess, rules: dict[str, Any], who: str, on: bool
) -> None:
    anna = await offered(desk, **rules)
    await typed(anna if who == "anna" else await desk.login(who), on=on)
    assert await written(desk.log) == []


async def test_the_first_key_takes_it_where_the_line_says_so(desk: DeskInProcess) -> None:
    anna = await offered(desk, while_writing="take", answer_within=60_000)
    await typed(anna, draft=True)
    assert desk.worker.desk.sessions["1"].status == "offered"
    await anna.send(protocol.Typing(session="1"))
    frame = await anna.until(lambda f: isinstance(f, Changes) and f.sessions)
    assert (frame.sessions[0].status, frame.sessions[0].holder) == ("taken", "anna")


async def test_a_redis_that_does_not_answer_costs_a_hold_and_no_connection(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await offered(desk)
    real = desk.log.append

    async def lost(event: Any) -> str:
        if isinstance(event, Writing):
            monkeypatch.setattr(desk.log, "append", real)
            raise Unavailable("gone")
        return await real(event)

    monkeypatch.setattr(desk.log, "append", lost)
    await typed(anna)
    await typed(anna)
    assert len(await written(desk.log)) == 1
