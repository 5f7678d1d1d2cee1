"""Telegram against a Bot API server: receiving both ways, sending with everything that goes wrong."""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from bots.base import Rejected, Secret, TryLater, Uncertain
from bots.telegram.channel import Telegram, TelegramSettings
from bots.way_out.outbox import Sender
from crm.kernel.errors import Unavailable
from crm.kernel.records import Button, Media
from router.desk.events import ButtonPressed
from router.intake.receiver import Receiver
from router.log.log import Log
from tests.bots.conftest import TOKEN, Bytes, MemoryMedia, all_logged, delivery, enqueue, logged, running
from tests.conftest import until
from tests.fakes.bot_state import BotState, Fault
from tests.fakes.telegram import FakeTelegram


def settings(fake: FakeTelegram, **more: Any) -> TelegramSettings:
    return TelegramSettings(kind="telegram", line="sales", token=Secret(TOKEN), api_url=fake.url, **more)


@asynccontextmanager
async def opened(channel: Telegram) -> AsyncIterator[Telegram]:
    await channel.open()
    try:
        yield channel
    finally:
        await channel.close()


@pytest.fixture
async def channel(fake: FakeTelegram) -> AsyncIterator[Telegram]:
    async with opened(Telegram("shop", settings(fake))) as channel:
        yield channel


@pytest.fixture
def bot(fake: FakeTelegram) -> BotState:
    return fake.bot(TOKEN)


@asynccontextmanager
async def hooked(fake: FakeTelegram, log: Log, media: MemoryMedia, **more: Any) -> AsyncIterator[Telegram]:
    """A desk's web server with the web hook on it, and the receiver running."""
    app = web.Application()
    runner = web.AppRunner(app)
    late: list[web.RouteDef] = []

    async def forward(request: web.Request) -> web.StreamResponse:
        if request.path != late[0].path:
            raise web.HTTPNotFound
        response: web.StreamResponse = await late[0].handler(request)
        return response

    app.router.add_post("/{path:.*}", forward)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    public_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    channel = Telegram("shop", settings(fake, receive="webhook", public_url=public_url, **more))
    async with opened(channel):
        receiver = Receiver(log, [channel], media)
        late += receiver.routes()
        async with running(receiver):
            try:
                yield channel
            finally:
                await runner.cleanup()


# ------------------------------------------------------------------ receiving


async def test_polling_brings_everything_once_and_in_order(
    fake: FakeTelegram, bot: BotState, channel: Telegram, log: Log, media: MemoryMedia
) -> None:
    for n in range(150):
        bot.message(7 + n % 3, f"text {n}")
    async with running(Receiver(log, [channel], media)):
        await logged(log, 150)
        bot.message(7, "text 150")
        events = await logged(log, 151)
        await until(lambda: not bot.updates)
    assert [event.text for event in events] == [f"text {n}" for n in range(151)]
    polls = [params for _, name, params in bot.calls if name == "getUpdates"]
    assert "offset" not in polls[0]
    assert "message_reaction" in polls[0]["allowed_updates"]


async def test_the_offset_stays_until_the_inbox_has_it(
    fake: FakeTelegram, bot: BotState, channel: Telegram
) -> None:
    class Full:
        def __init__(self) -> None:
            self.bodies: list[bytes] = []
            self.refusals = 3

        async def put(self, *bodies: bytes) -> None:
            if self.refusals:
                self.refusals -= 1
                raise Unavailable("no Redis")
            self.bodies += bodies

    inbox = Full()
    bot.message(7, "hello")
    task = asyncio.create_task(channel.run(inbox))
    await until(lambda: inbox.bodies)
    await until(lambda: not bot.updates)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    polls = [params.get("offset") for _, name, params in bot.calls if name == "getUpdates"]
    assert polls[:4] == [None] * 4
    assert len(inbox.bodies) == 1


async def test_after_a_restart_unconfirmed_updates_come_again_with_the_same_keys(
    fake: FakeTelegram, bot: BotState, log: Log, media: MemoryMedia
) -> None:
    update = bot.message(7, "hello")
    for _ in range(2):
        async with opened(Telegram("shop", settings(fake))) as channel:
            task = asyncio.create_task(channel.run(Receiver(log, [channel], media)._inboxes["shop"]))
            await until(lambda: not bot.updates)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        bot.updates.append(update)
    bot.updates.clear()
    async with opened(Telegram("shop", settings(fake))) as channel, running(Receiver(log, [channel], media)):
        first, again = await logged(log, 2)
    assert first.event_id == again.event_id


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        (Fault("html", "getUpdates", times=1), "no update list"),
        (Fault("error", "getUpdates", times=1), "refuses: 500"),
        (Fault("retry_after", "getUpdates", times=1, seconds=1), "refuses: 429"),
        (Fault("refuse", "getUpdates", times=1), "does not answer"),
    ],
)
async def test_polling_survives_and_tells_its_trouble(
    bot: BotState,
    channel: Telegram,
    log: Log,
    media: MemoryMedia,
    caplog: pytest.LogCaptureFixture,
    fault: Fault,
    trouble: str,
) -> None:
    bot.faults.append(fault)
    bot.message(7, "hello")
    with caplog.at_level(logging.DEBUG):
        async with running(Receiver(log, [channel], media)):
            await until(lambda: trouble in channel.trouble)
            [event] = await logged(log, 1)
            await until(lambda: not channel.trouble)
    assert event.text == "hello"
    assert TOKEN not in caplog.text
    assert "hello" not in caplog.text


async def test_a_second_poller_and_a_foreign_web_hook_are_told(
    fake: FakeTelegram, bot: BotState, channel: Telegram, log: Log, media: MemoryMedia
) -> None:
    async with running(Receiver(log, [channel], media)), aiohttp.ClientSession() as http:
        await until(lambda: bot.poller is not None)
        async with http.post(f"{fake.url}/bot{TOKEN}/getUpdates", json={"timeout": 0}) as response:
            assert response.status == 200
        await until(lambda: "another program" in channel.trouble)
        async with http.post(f"{fake.url}/bot{TOKEN}/setWebhook", json={"url": "http://127.0.0.1:1/x"}):
            pass
        await until(lambda: bot.webhook is None, 20)
        bot.message(7, "hello")
        [event] = await logged(log, 1, seconds=20)
    assert event.text == "hello"


async def test_one_poisoned_update_shows_and_blocks_nobody(
    bot: BotState, channel: Telegram, log: Log, media: MemoryMedia
) -> None:
    bot.message(7, "before")
    bot.message(7, "from the future", forward_origin={"type": "telepathy", "date": 1})
    bot.message(7, "after")
    async with running(Receiver(log, [channel], media)):
        before, poison, after = await logged(log, 3)
    assert (before.text, poison.kind, poison.text, after.text) == (
        "before",
        "unsupported",
        "from the future",
        "after",
    )


async def test_a_web_hook_is_set_and_brings_everything(
    fake: FakeTelegram, bot: BotState, log: Log, media: MemoryMedia
) -> None:
    async with hooked(fake, log, media) as channel:
        await until(lambda: bot.webhook)
        assert bot.webhook is not None
        assert bot.webhook.url.endswith("/hooks/telegram/shop")
        assert len(bot.webhook.secret) == 64
        assert TOKEN.partition(":")[2] not in bot.webhook.secret
        for n in range(100):
            bot.message(7, f"text {n}")
        events = await logged(log, 100)
        assert channel.trouble == ""
    assert [event.text for event in events] == [f"text {n}" for n in range(100)]


async def test_updates_that_overtake_each_other_are_put_in_order(
    fake: FakeTelegram, bot: BotState, log: Log, media: MemoryMedia
) -> None:
    fake.overtaking = True
    for n in range(200):
        bot.message(7, f"text {n}")
    async with hooked(fake, log, media):
        events = await logged(log, 200)
    assert [event.text for event in events] == [f"text {n}" for n in range(200)]


@pytest.mark.parametrize("secret", [None, "", "wrong"])
async def test_a_web_hook_without_the_secret_is_refused(
    fake: FakeTelegram, bot: BotState, log: Log, media: MemoryMedia, secret: str | None
) -> None:
    async with hooked(fake, log, media), aiohttp.ClientSession() as http:
        await until(lambda: bot.webhook)
        assert bot.webhook is not None
        headers = {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret}
        async with http.post(bot.webhook.url, json={"update_id": 1}, headers=headers) as response:
            assert response.status == 401
    assert await all_logged(log) == []


async def test_a_web_hook_body_has_a_limit(
    fake: FakeTelegram, bot: BotState, log: Log, media: MemoryMedia
) -> None:
    async with hooked(fake, log, media, secret_token=Secret("s3cret")), aiohttp.ClientSession() as http:
        await until(lambda: bot.webhook)
        assert bot.webhook is not None
        headers = {"X-Telegram-Bot-Api-Secret-Token": "s3cret"}
        for data in (io.BytesIO(b"x" * (1024 * 1024 + 1)), _chunks()):
            async with http.post(bot.webhook.url, data=data, headers=headers) as response:
                assert response.status == 413


async def _chunks() -> AsyncIterator[bytes]:
    for _ in range(20):
        yield b"x" * 100_000


async def test_a_pressed_button_is_answered_and_told(
    bot: BotState, channel: Telegram, log: Log, media: MemoryMedia
) -> None:
    customer = {"id": 7, "is_bot": False, "first_name": "Ali"}
    chat = {"id": 7, "type": "private", "first_name": "Ali"}
    message = {"message_id": 3, "date": 1, "chat": chat, "text": "?"}
    bot.add(
        {
            "callback_query": {
                "id": "99",
                "from": customer,
                "chat_instance": "1",
                "data": "yes",
                "message": message,
            }
        }
    )
    async with running(Receiver(log, [channel], media)):
        [event] = await logged(log, 1)
        await until(lambda: [p for _, name, p in bot.calls if name == "answerCallbackQuery"])
    assert isinstance(event, ButtonPressed)
    [answer] = [params for _, name, params in bot.calls if name == "answerCallbackQuery"]
    assert answer["callback_query_id"] == "99"


# ------------------------------------------------------------------ attachments


def with_file(bot: BotState, data: bytes) -> None:
    bot.files["f1"] = data
    document = {"file_id": "f1", "file_unique_id": "u1", "file_name": "a.pdf", "mime_type": "application/pdf"}
    bot.message(7, "", caption="see", document=document)


async def test_an_attachment_is_fetched_through_trouble(
    bot: BotState, channel: Telegram, log: Log, media: MemoryMedia, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.intake.fetch.FIRST_WAIT", 0.01)
    data = bytes(range(256)) * 1000
    with_file(bot, data)
    bot.faults += [Fault("html", "getFile"), Fault("refuse", "file")]
    async with running(Receiver(log, [channel], media)):
        message, stored = await logged(log, 2, seconds=30)
    assert stored.message_id == message.message_id
    assert media.files[stored.media.key] == data


async def test_an_attachment_that_is_too_large_or_gone_says_so(
    fake: FakeTelegram, bot: BotState, log: Log, media: MemoryMedia
) -> None:
    with_file(bot, b"x" * 1001)
    bot.files["f2"] = b""
    bot.message(7, "", voice={"file_id": "none", "file_unique_id": "u", "duration": 1})
    async with (
        opened(Telegram("shop", settings(fake, max_file=1000))) as channel,
        running(Receiver(log, [channel], media)),
    ):
        events = await logged(log, 4)
    errors = {event.media.error for event in events if hasattr(event, "index")}
    assert "larger than 1000 bytes" in errors
    assert any("wrong file_id" in error for error in errors)


# ------------------------------------------------------------------ sending


async def test_a_text_arrives_as_it_is(bot: BotState, channel: Telegram) -> None:
    sent = await channel.send(
        delivery("d1", "7", text="<b>*not* _bold_</b>", reply_to="5", buttons=[Button(text="Ha", data="y")]),
        (),
    )
    [message] = bot.sent
    assert sent.external_ids == [str(message.message_id)]
    assert (message.chat, message.text, message.reply_to) == ("7", "<b>*not* _bold_</b>", 5)
    assert message.buttons == [[{"text": "Ha", "callback_data": "y"}]]
    assert "parse_mode" not in message.params


async def test_a_long_text_arrives_in_parts(bot: BotState, channel: Telegram) -> None:
    sent = await channel.send(delivery("d1", "7", text="so'z 😀 " * 1500), ())
    assert len(bot.sent) == len(sent.external_ids) == 3
    assert " ".join(m.text for m in bot.sent).split() == ("so'z 😀 " * 1500).split()


async def test_files_arrive_byte_for_byte(bot: BotState, channel: Telegram) -> None:
    data = bytes(range(256)) * 500
    photo = Media(kind="photo", mime="image/jpeg", key="a", name="эҳм.jpg")
    pdf = Media(kind="document", mime="application/pdf", key="b", name='a"b\r\n.pdf')
    sent = await channel.send(
        delivery("d1", "7", text="see"), [(photo, Bytes(data)), (photo, Bytes(data)), (pdf, Bytes(data))]
    )
    assert len(sent.external_ids) == 3
    digest = hashlib.sha256(data).hexdigest()
    assert [message.files[0]["sha256"] for message in bot.sent] == [digest] * 3
    assert [message.method for message in bot.sent] == ["sendMediaGroup", "sendMediaGroup", "sendDocument"]


async def test_edits_and_deletions(bot: BotState, channel: Telegram) -> None:
    sent = await channel.send(delivery("d1", "7", text="one"), ())
    [id] = sent.external_ids
    for _ in range(2):
        await channel.send(delivery("d2", "7", action="edit", external_id=id, text="two"), ())
    assert bot.shown[int(id)] == "two"
    for _ in range(2):
        await channel.send(delivery("d3", "7", action="delete", external_id=id, text=""), ())
    assert int(id) not in bot.shown


@pytest.mark.parametrize(
    ("fault", "error", "delivered"),
    [
        (Fault("retry_after", "sendMessage", seconds=3), TryLater, False),
        (Fault("unauthorized", "sendMessage"), TryLater, False),
        (Fault("blocked", "sendMessage"), Rejected, False),
        (Fault("bad_request", "sendMessage"), Rejected, False),
        (Fault("migrate", "sendMessage", to="-1009"), Rejected, False),
        (Fault("html", "sendMessage"), Uncertain, False),
        (Fault("error", "sendMessage"), Uncertain, False),
        (Fault("refuse", "sendMessage"), Uncertain, False),
        (Fault("cut", "sendMessage"), Uncertain, True),
        (Fault("hang", "sendMessage", seconds=2), Uncertain, True),
    ],
)
async def test_every_failure_has_its_outcome_and_hides_the_token(
    bot: BotState, channel: Telegram, fault: Fault, error: type[Exception], delivered: bool
) -> None:
    (await channel._sender())._bot.session.timeout = aiohttp.ClientTimeout(total=1)  # type: ignore[assignment]
    bot.faults.append(fault)
    with pytest.raises(error) as caught:
        await channel.send(delivery("d1", "7"), ())
    assert len(bot.sent) == delivered
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    match caught.value:
        case TryLater() as later if fault.kind == "retry_after":
            assert (later.after, later.whole_channel) == (3.0, False)
        case TryLater() as later:
            assert later.whole_channel
            assert channel.trouble
        case Rejected() as rejected:
            assert rejected.blocked == (fault.kind == "blocked")
            assert rejected.moved_to == fault.to


async def test_an_answer_that_these_types_do_not_know_is_still_sent(bot: BotState, channel: Telegram) -> None:
    bot.faults.append(Fault("strange", "sendMessage"))
    sent = await channel.send(delivery("d1", "7"), ())
    assert sent.external_ids == [str(bot.sent[0].message_id)]


async def test_nobody_there_means_nothing_left() -> None:
    nowhere = TelegramSettings(
        kind="telegram", line="sales", token=Secret(TOKEN), api_url="http://127.0.0.1:9"
    )
    async with opened(Telegram("shop", nowhere)) as channel:
        with pytest.raises(TryLater, match="cannot be reached"):
            await channel.send(delivery("d1", "7"), ())


async def test_parts_that_left_are_known_when_a_later_one_is_uncertain(
    bot: BotState, channel: Telegram
) -> None:
    bot.faults.append(Fault("cut", "sendMessage", skip=1))
    with pytest.raises(Uncertain) as caught:
        await channel.send(delivery("d1", "7", text="word " * 2000), ())
    assert caught.value.external_ids == [str(bot.sent[0].message_id)]


async def test_a_short_flood_limit_between_parts_is_waited_out(bot: BotState, channel: Telegram) -> None:
    bot.faults.append(Fault("retry_after", "sendMessage", skip=1, seconds=1))
    sent = await channel.send(delivery("d1", "7", text="word " * 1200), ())
    assert len(sent.external_ids) == len(bot.sent) == 2
    assert bot.sent[1].at - bot.sent[0].at >= 1


async def test_flood_limits_of_two_chats_pause_the_bot(bot: BotState, channel: Telegram) -> None:
    bot.faults += [Fault("retry_after", "sendMessage", seconds=5, times=2)]
    scopes = []
    for chat in ("7", "8"):
        with pytest.raises(TryLater) as caught:
            await channel.send(delivery("d1", chat), ())
        scopes.append(caught.value.whole_channel)
    assert scopes == [False, True]


async def test_through_the_outbox_a_flood_limit_is_honoured_and_nothing_is_doubled(
    bot: BotState, channel: Telegram, log: Log, media: MemoryMedia
) -> None:
    bot.faults += [
        Fault("retry_after", "sendMessage", chat="7", seconds=1),
        Fault("cut", "sendMessage", chat="8"),
        Fault("blocked", "sendMessage", chat="9"),
    ]
    async with running(Sender(log, [channel], media)):
        await enqueue(
            log,
            *(delivery(f"a{n}", "7", "shop") for n in range(3)),
            delivery("b0", "8", "shop"),
            delivery("c0", "9", "shop"),
        )
        events = await logged(log, 6)
    assert [m.text for m in bot.sent if m.chat == "7"] == ["text a0", "text a1", "text a2"]
    refused_at = next(at for at, name, p in bot.calls if name == "sendMessage" and p["chat_id"] == "7")
    assert min(m.at for m in bot.sent if m.chat == "7") - refused_at >= 1.0
    outcome = {event.message: event.state for event in events if hasattr(event, "state")}
    assert outcome == {"1-a0": "sent", "1-a1": "sent", "1-a2": "sent", "1-b0": "unknown", "1-c0": "failed"}
    assert bot.duplicates() == 0


async def test_typing_and_who_am_i(bot: BotState, channel: Telegram) -> None:
    await channel.typing("7")
    assert [params["action"] for _, name, params in bot.calls if name == "sendChatAction"] == ["typing"]
    assert await channel.who_am_i() == "@fake_bot (42)"


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"token": Secret("abc")}, "not a bot token"),
        ({"receive": "webhook"}, "needs public_url"),
        ({"receive": "webhook", "public_url": "http://desk.uz"}, "https"),
        ({"secret_token": Secret("no spaces")}, "secret_token"),
    ],
)
def test_settings_that_cannot_work_are_refused(more: dict[str, Any], problem: str) -> None:
    fields = {"kind": "telegram", "line": "sales", "token": Secret(TOKEN)} | more
    with pytest.raises(ValueError, match=problem):
        TelegramSettings(**fields)


def test_a_token_never_prints_itself() -> None:
    made = TelegramSettings(kind="telegram", line="sales", token=Secret(TOKEN))
    assert TOKEN not in repr(made)
    assert b"token" in msgspec.json.encode(made, enc_hook=str)
