"""How much waits where."""

from __future__ import annotations

from pathlib import Path

from router.desk.events import Author, MessageReceived
from router.log.log import Log
from tests.conftest import until
from tests.router.desk_in_process import running_desk


def message(number: int) -> MessageReceived:
    return MessageReceived(
        channel="bot", chat="ali", event_id=f"bot:{number}", message_id=f"m{number}", author=Author(id="ali")
    )


async def test_what_nobody_has_passed_is_counted(log: Log) -> None:
    assert await log.lags(["bot"]) == {"log": 0, "in:bot": 0, "out:bot": 0, "store": 0}
    for number in range(3):
        await log.append(message(number))
    await log.put_raw("bot", b"raw")
    assert await log.lags(["bot"]) == {"log": 3, "in:bot": 1, "out:bot": 0, "store": 0}


async def test_counts_end_where_more_says_nothing_new(log: Log) -> None:
    keys = log.keys
    for key, count in ((keys.log, 10_500), (keys.journal, 1500)):
        pipe = log.redis.pipeline(transaction=False)
        for _ in range(count):
            pipe.xadd(key, {"e": b"x"})
        await pipe.execute()
    assert await log.lags([]) == {"log": 10_000, "store": 1000}


async def test_only_what_is_behind_a_readers_position_is_counted(log: Log, tmp_path: Path) -> None:
    async with running_desk(log, tmp_path) as desk:
        await desk.write("ali", "hi")
        await until(lambda: _nothing_waits(log))
        await desk.stop("projector")
        await desk.write("ali", "more")
        await until(lambda: _one_is_not_stored(log))
        await desk.stop("worker")
        await desk.log.append(message(1))
        assert (await log.lags([]))["log"] == 1


async def _nothing_waits(log: Log) -> bool:
    return set((await log.lags(["bot"])).values()) == {0}


async def _one_is_not_stored(log: Log) -> bool:
    return await log.lags([]) == {"log": 0, "store": 1}
