"""Pages of updates of which some are no JSON: none makes the bot deaf, none is dropped."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.base import Secret
from bots.telegram.channel import Telegram, TelegramSettings
from bots.telegram.page import NoPage, PageReading, pressed, read_page, update_id
from router.desk.events import MessageReceived
from router.intake.receiver import Receiver
from router.intake.understanding import understand
from router.log.log import Log
from tests.bots.conftest import TOKEN, MemoryMedia, logged, running
from tests.conftest import until
from tests.fakes.telegram import FakeTelegram

MESSAGE = '{"update_id":%d,"message":{"message_id":5,"date":5,"chat":{"id":7,"type":"private"},"text":%s}}'

BROKEN = {
    "half a character": MESSAGE % (1002, r'"a\ud800b"'),
    "half a character elsewhere": '{"update_id":1002,"message":{"\\udfff":"","chat":{"id":7}},"x":"\\ud800"}',
    "no number": MESSAGE % (1002, "NaN"),
    "endless number": MESSAGE % (1002, "1" * 5000),
    "deep": MESSAGE % (1002, "[" * 5000 + "]" * 5000),
    "half a byte": MESSAGE % (1002, '"\udcff"'),
    "a key twice": '{"update_id":1,"update_id":1002,"message":{"chat":{"id":7},"chat":{"id":7},"text":"\\ud800"}}',
    "control": MESSAGE % (1002, '"a\nb\x00"'),
    "comma": MESSAGE % (1002, '"a",'),
    "brackets in text": MESSAGE % (1002, r'"]}\"{[ \ud800"'),
}


def page(*updates: str) -> bytes:
    return ('{"ok":true,"result":[' + ",".join(updates) + "]}").encode(errors="surrogateescape")


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_update_stands_alone(name: str) -> None:
    before, after = MESSAGE % (1001, '"before"'), MESSAGE % (1003, '"after"')
    body = page(before, BROKEN[name], after)
    found = read_page(body)
    updates = [bytes(update) for update in found.result]
    assert [update_id(update) for update in updates] == [1001, 1002, 1003]
    assert updates[1] == BROKEN[name].encode(errors="surrogateescape")
    assert (found.ok, found.torn) == (True, False)


@pytest.mark.parametrize("name", BROKEN)
async def test_polling_goes_on_after_a_broken_update_and_keeps_it(
    name: str, fake: FakeTelegram, log: Log, media: MemoryMedia
) -> None:
    bot = fake.bot(TOKEN)
    bot.message(7, "before")
    assert bot.message(7, "broken")["update_id"] == 1002
    bot.raw[1002] = BROKEN[name].encode(errors="surrogateescape")
    bot.message(7, "after")
    async with polling(fake) as channel, running(Receiver(log, [channel], media)):
        events = await logged(log, 3)
        await until(lambda: not bot.updates)
        assert channel.trouble == ""
    assert (events[0].text, events[2].text) == ("before", "after")
    assert events[1].raw == bot.raw[1002]
    assert (events[1].chat, events[1].event_id) == ("7", "shop:1002")


def polling_settings(url: str) -> Telegram:
    return Telegram("shop", TelegramSettings(kind="telegram", line="sales", token=Secret(TOKEN), api_url=url))


class polling:  # noqa: N801 - used like a function
    def __init__(self, fake: FakeTelegram) -> None:
        self.channel = polling_settings(fake.url)

    async def __aenter__(self) -> Telegram:
        await self.channel.open()
        return self.channel

    async def __aexit__(self, *error: object) -> None:
        await self.channel.close()


async def test_a_half_character_is_shown_in_its_chat(
    fake: FakeTelegram, log: Log, media: MemoryMedia
) -> None:
    bot = fake.bot(TOKEN)
    bot.message(7, "a\ud800b")
    async with polling(fake) as channel, running(Receiver(log, [channel], media)):
        [event] = await logged(log, 1)
    assert (event.chat, event.kind, event.text) == ("7", "text", "a\ufffdb")


@pytest.mark.parametrize("field", ["message_thread_id", "direct_messages_topic", "business_connection_id"])
def test_what_cannot_be_read_is_in_no_chat_where_its_topic_may_be_another(field: str) -> None:
    body = (MESSAGE % (1002, '"a",')).replace('"message_id"', f'"{field}":5,"message_id"').encode()
    channel = polling_settings("http://127.0.0.1:9")
    [event] = understand(channel, body)
    assert isinstance(event, MessageReceived)
    assert (event.chat, event.raw) == ("unparsed", body)
    [plain] = understand(channel, (MESSAGE % (1002, '"a",')).encode())
    assert isinstance(plain, MessageReceived)
    assert (plain.chat, plain.kind) == ("7", "unsupported")


async def test_an_update_that_cannot_be_cut_out_is_asked_for_alone_and_passed(
    fake: FakeTelegram, log: Log, media: MemoryMedia
) -> None:
    bot = fake.bot(TOKEN)
    for text in ("before", "torn", "after"):
        bot.message(7, text)
    bot.raw[1002] = b'{"update_id":1002,"message":{"text":"no end}}'
    async with polling(fake) as channel, running(Receiver(log, [channel], media)):
        events = await logged(log, 3)
        await until(lambda: not bot.updates)
    assert (events[0].text, events[2].text) == ("before", "after")
    assert bot.raw[1002] in events[1].raw
    limits = [params["limit"] for _, name, params in bot.calls if name == "getUpdates"]
    assert limits[-1] == "100"


async def test_updates_without_a_number_do_not_spin(fake: FakeTelegram, log: Log, media: MemoryMedia) -> None:
    bot = fake.bot(TOKEN)
    bot.message(7, "nameless")
    bot.raw[1001] = b'{"message":{}}'
    async with polling(fake) as channel, running(Receiver(log, [channel], media)):
        await until(lambda: channel.trouble)
        polls = [name for _, name, _ in bot.calls if name == "getUpdates"]
    assert len(polls) <= 4


# ------------------------------------------------------------------ how far it is


def taken(reading: PageReading, body: bytes) -> tuple[int, int | None, int]:
    updates, after = reading.take(read_page(body), body)
    return len(updates), after.offset, after.limit


def test_the_offset_follows_the_largest_number() -> None:
    reading = PageReading()
    assert taken(reading, page()) == (0, None, 100)
    assert taken(reading, page(MESSAGE % (9, '""'), MESSAGE % (8, '""'))) == (2, 10, 100)
    reading.offset = 10
    assert taken(reading, page()) == (0, 10, 100)


@pytest.mark.parametrize("number", ["-1", "1e30", str(2**53), "1" * 40, '"5"', "null", "true", "5.5"])
def test_what_is_no_number_confirms_nothing(number: str) -> None:
    reading = PageReading()
    reading.offset = 10
    body = page(f'{{"update_id":{number}}}', '{"update_id":12}')
    assert taken(reading, body) == (2, 13, 100)
    alone = page(f'{{"update_id":{number},"message":{{"update_id":99}}}}')
    assert taken(reading, alone) == (0, 10, 1)
    reading.limit = 1
    assert taken(reading, alone) == (1, 11, 100)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"<html>502</html>",
        b"[1]",
        b'{"ok":true',
        b'{"result":5}',
        b"\xff",
        b'{"a":{"result":[{}]}}',
    ],
)
def test_what_is_no_page(body: bytes) -> None:
    reading = PageReading()
    reading.limit = 1
    with pytest.raises(NoPage):
        reading.take(read_page(body), body)


def test_a_refusal_is_read() -> None:
    found = read_page(b'{"ok":false,"error_code":429,"parameters":{"retry_after":7},"result":[]}')
    assert (found.ok, found.error_code) == (False, 429)
    assert found.parameters is not None
    assert found.parameters.retry_after == 7


def test_a_hostile_page_takes_linear_time() -> None:
    started = time.process_time()
    for part in (b'\\"', b'"', b"[", b'{"', b"\\", b'"update_id":'):
        body = b'{"ok":true,"result":[' + part * (400_000 // len(part))
        reading = PageReading()
        reading.limit = 1
        with pytest.raises(NoPage):
            reading.take(read_page(body), body)
        update_id(body)
    assert time.process_time() - started < 10


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(categories=["L", "Cs", "P", "S"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=4))
def test_any_updates_are_cut_where_they_end(contents: list[dict[str, Any]]) -> None:
    updates = [
        json.dumps({**content, "update_id": 50 + n, "broken": "\ud800"}) for n, content in enumerate(contents)
    ]
    found = read_page(page(*updates))
    assert [bytes(update) for update in found.result] == [update.encode() for update in updates]
    assert [update_id(bytes(update)) for update in found.result] == [50 + n for n in range(len(contents))]


def test_which_press_is_to_be_answered() -> None:
    assert pressed(b'{"callback_query":{"id":"9"}}') == "9"
    for body in (
        b"",
        b'{"callback_query":5}',
        b'{"callback_query"' + b"[" * 5000,
        b'{"x":"\\ud800","callback_query":{}}',
    ):
        assert pressed(body) == ""
