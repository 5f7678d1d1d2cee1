"""What every failure of a call means, and what Telegram refuses as it is but takes in a plainer form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiogram import exceptions, methods
from aiohttp import ClientConnectorError, ConnectionTimeoutError, ServerDisconnectedError

from bots.base import Rejected, Secret, SendOutcome, TryLater, Uncertain
from bots.telegram.channel import Telegram, TelegramSettings
from bots.telegram.send import VERDICTS, outcome
from crm.kernel.records import Button, Media
from tests.bots.conftest import TOKEN, Bytes, delivery
from tests.fakes.bot_state import BotState, Fault
from tests.fakes.telegram import FakeTelegram

METHOD = methods.SendMessage(chat_id=1, text="x")

NOT_FROM_CALLS = {
    "AiogramError", "DetailedAiogramError", "CallbackAnswerException", "SceneException", "DataNotDictLikeError",
}  # fmt: skip
"""Bases, and what only the parts of aiogram raise that are not used here: unknown, should they come."""


def hierarchy(base: type[Exception] = exceptions.AiogramError) -> Iterator[type[Exception]]:
    yield base
    for child in base.__subclasses__():
        if child.__module__.startswith("aiogram"):
            yield from hierarchy(child)


def test_every_exception_of_aiogram_has_a_verdict_of_its_own() -> None:
    assert {kind.__name__ for kind in hierarchy()} == NOT_FROM_CALLS | {kind.__name__ for kind in VERDICTS}


class Newer(exceptions.TelegramBadRequest):
    """What a later aiogram may bring."""


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def api(kind: Any, words: Any = "no", **more: Any) -> Exception:
    error: Exception = kind(method=METHOD, message=words, **more)
    return error


REFUSED = ClientConnectorError(
    type("Key", (), {"ssl": None, "host": "h", "port": 1, "is_ssl": False})(), OSError()
)


@pytest.mark.parametrize(
    ("error", "kind", "after"),
    [
        (api(exceptions.TelegramRetryAfter, retry_after=7), TryLater, 7),
        (api(exceptions.TelegramUnauthorizedError), TryLater, 60),
        (api(exceptions.TelegramNotFound), TryLater, 60),
        (api(exceptions.TelegramConflictError), TryLater, 3),
        (api(exceptions.RestartingTelegram), TryLater, 5),
        (api(exceptions.TelegramBadRequest), Rejected, 0),
        (api(exceptions.TelegramForbiddenError), Rejected, 0),
        (api(exceptions.TelegramMigrateToChat, migrate_to_chat_id=-100), Rejected, 0),
        (api(exceptions.TelegramEntityTooLarge), Rejected, 0),
        (api(exceptions.TelegramAPIError), Rejected, 0),
        (api(exceptions.TelegramAPIError, None), Rejected, 0),
        (api(exceptions.TelegramAPIError, "Too Many Requests: retry after 9"), TryLater, 9),
        (exceptions.UnsupportedKeywordArgument("x"), Rejected, 0),
        (api(exceptions.TelegramServerError), Uncertain, 0),
        (api(exceptions.TelegramNetworkError), Uncertain, 0),
        (caused(api(exceptions.TelegramNetworkError), REFUSED), TryLater, 1),
        (caused(api(exceptions.TelegramNetworkError), ConnectionTimeoutError()), TryLater, 1),
        (caused(api(exceptions.TelegramNetworkError), TimeoutError()), Uncertain, 0),
        (caused(api(exceptions.TelegramNetworkError), ServerDisconnectedError()), Uncertain, 0),
        (exceptions.ClientDecodeError("", ValueError(), "<html><title>502 Bad Gateway"), Uncertain, 0),
        (exceptions.ClientDecodeError("", ValueError(), "<html><title>413 Request Entity"), Rejected, 0),
        (exceptions.ClientDecodeError("", ValueError(), {"ok": False, "error_code": 400}), Rejected, 0),
        (exceptions.ClientDecodeError("", ValueError(), {"ok": False, "error_code": 429}), TryLater, 5),
        (exceptions.ClientDecodeError("", ValueError(), {"ok": False, "error_code": 500}), Uncertain, 0),
        (exceptions.ClientDecodeError("", ValueError(), {"ok": False}), Uncertain, 0),
        (exceptions.ClientDecodeError("", ValueError(), ["?"]), Uncertain, 0),
        (exceptions.AiogramError(), Uncertain, 0),
        (exceptions.SceneException(), Uncertain, 0),
        (api(Newer), Uncertain, 0),
        (ValueError(), Uncertain, 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_a_failure_means(error: Exception, kind: type[SendOutcome], after: float) -> None:
    found = outcome(error)
    assert isinstance(found, kind)
    assert getattr(found, "after", 0) == after
    assert str(found)


# ------------------------------------------------------------------ against the server


@pytest.fixture
async def channel(fake: FakeTelegram) -> AsyncIterator[Telegram]:
    channel = Telegram(
        "shop", TelegramSettings(kind="telegram", line="sales", token=Secret(TOKEN), api_url=fake.url)
    )
    await channel.open()
    yield channel
    await channel.close()


@pytest.fixture
def bot(fake: FakeTelegram) -> BotState:
    return fake.bot(TOKEN)


PHOTO = (Media(kind="photo", mime="image/jpeg", name="a.jpg", key="k"), Bytes(b"jpeg"))
VOICE = (Media(kind="voice", mime="audio/ogg", name="a.ogg", key="k"), Bytes(b"ogg"))
VIDEO = (Media(kind="video", mime="video/mp4", name="a.mp4", key="k"), Bytes(b"mp4"))


@pytest.mark.parametrize(
    ("file", "method", "reason"),
    [
        (PHOTO, "sendPhoto", "PHOTO_INVALID_DIMENSIONS"),
        (PHOTO, "sendPhoto", "IMAGE_PROCESS_FAILED"),
        (PHOTO, "sendPhoto", "file of size 10485761 bytes is too big for a photo"),
        (VIDEO, "sendVideo", "VIDEO_CONTENT_TYPE_INVALID"),
        (VOICE, "sendVoice", "VOICE_MESSAGES_FORBIDDEN"),
    ],
)
async def test_what_is_refused_as_a_picture_or_a_sound_goes_as_a_document(
    bot: BotState, channel: Telegram, file: Any, method: str, reason: str
) -> None:
    bot.faults.append(Fault("refused", method, to=reason))
    button = [Button(text="ok", data="d")]
    sent = await channel.send(
        delivery("d1", "7", channel="shop", text="look", buttons=button, reply_to="3"), [file]
    )
    [message] = bot.sent
    assert (message.method, message.text, message.reply_to) == ("sendDocument", "look", 3)
    assert message.files[0]["name"] == file[0].name
    assert message.buttons
    assert sent.external_ids == [str(message.message_id)]


async def test_an_album_with_a_refused_picture_goes_as_documents(bot: BotState, channel: Telegram) -> None:
    bot.faults.append(Fault("refused", "sendMediaGroup", to="PHOTO_INVALID_DIMENSIONS"))
    await channel.send(delivery("d1", "7", channel="shop", text="look"), [PHOTO, VIDEO])
    assert [message.text for message in bot.sent] == ["look", ""]
    assert '"type":"document"' in bot.sent[0].params["media"].replace(" ", "")


async def test_what_is_refused_as_a_document_too_has_failed(bot: BotState, channel: Telegram) -> None:
    bot.faults.append(Fault("refused", times=5, to="chat not found"))
    with pytest.raises(Rejected, match="chat not found"):
        await channel.send(delivery("d1", "7", channel="shop"), [PHOTO])
    assert [name for _, name, _ in bot.calls] == ["sendPhoto", "sendDocument"]
    with pytest.raises(Rejected, match="chat not found"):
        await channel.send(delivery("d2", "7", channel="shop"), [])


@pytest.mark.parametrize(
    "fault", [Fault("too_large"), Fault("page", to="413 Request Entity Too Large")], ids=["answer", "page"]
)
async def test_what_is_too_large_has_failed(bot: BotState, channel: Telegram, fault: Fault) -> None:
    bot.faults.append(fault)
    with pytest.raises(Rejected, match="too large"):
        await channel.send(delivery("d1", "7", channel="shop"), [VIDEO])
    assert len(bot.calls) == 1


async def test_an_edit_of_words_under_a_file_changes_its_caption(bot: BotState, channel: Telegram) -> None:
    sent = await channel.send(delivery("d1", "7", channel="shop", text="old"), [PHOTO])
    [id] = sent.external_ids
    bot.faults.append(Fault("refused", "editMessageText", to="there is no text in the message to edit"))
    await channel.send(delivery("d2", "7", channel="shop", text="new", action="edit", external_id=id), [])
    assert bot.shown[int(id)] == "new"
    assert bot.calls[-1][1] == "editMessageCaption"


async def test_an_edit_that_broke_off_keeps_the_ids_of_all_parts(bot: BotState, channel: Telegram) -> None:
    sent = await channel.send(delivery("d1", "7", channel="shop", text="a" * 5000), [])
    bot.faults.append(Fault("refused", "editMessageText", skip=1, to="message can't be edited"))
    edit = delivery(
        "d2", "7", channel="shop", text="b" * 5000, action="edit", external_id=" ".join(sent.external_ids)
    )
    with pytest.raises(Uncertain) as failed:
        await channel.send(edit, [])
    assert failed.value.external_ids == sent.external_ids


async def test_an_answer_that_aiogram_stumbles_over_is_unknown(bot: BotState, channel: Telegram) -> None:
    async def stumble(*args: Any, **more: Any) -> Any:
        raise TypeError("argument of type 'NoneType' is not iterable")

    (await channel._sender())._bot.session.make_request = stumble  # type: ignore[method-assign]
    with pytest.raises(Uncertain, match="TypeError"):
        await channel.send(delivery("d1", "7", channel="shop"), [])


async def test_being_cancelled_is_no_failure(bot: BotState, channel: Telegram) -> None:
    bot.faults.append(Fault("hang", "sendMessage", seconds=30))
    task = asyncio.create_task(channel.send(delivery("d1", "7", channel="shop"), []))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
