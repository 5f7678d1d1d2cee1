"""The Bot API methods that navbat uses, as strict as the real ones."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

from tests.fakes.bot_state import BotState, SentMessage, Webhook

Params = dict[str, str]
Uploads = dict[str, tuple[str, bytes]]


class ApiError(Exception):
    """A refusal as the Bot API words it."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


def bad(description: str) -> ApiError:
    return ApiError(400, f"Bad Request: {description}")


def need(params: Params, name: str) -> str:
    if not params.get(name):
        raise bad(f"{name} is empty")
    return params[name]


def chat_of(params: Params) -> str:
    chat = need(params, "chat_id")
    if not chat.lstrip("-").isdecimal():
        raise bad("chat not found")
    return chat


def check_place(bot: BotState, params: Params) -> None:
    """As strict as Telegram about topics and business connections."""
    if params.get("message_thread_id") in ("0", "1"):
        raise bad("message thread not found")
    connection = params.get("business_connection_id", "")
    if connection and not bot.connections.get(connection):
        raise bad("BUSINESS_CONNECTION_INVALID")


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def buttons_of(params: Params) -> list[Any]:
    if not params.get("reply_markup"):
        return []
    rows = json.loads(params["reply_markup"])["inline_keyboard"]
    for row in rows:
        for button in row:
            if len(button.get("callback_data", "").encode()) > 64:
                raise bad("BUTTON_DATA_INVALID")
    return list(rows)


def show(
    bot: BotState, method: str, params: Params, text: str, files: list[dict[str, Any]]
) -> dict[str, Any]:
    """A message reaches the customer."""
    chat = chat_of(params)
    check_place(bot, params)
    reply = json.loads(params["reply_parameters"])["message_id"] if params.get("reply_parameters") else 0
    id = next(bot.message_ids)
    bot.shown[id] = text
    bot.sent.append(
        SentMessage(time.time(), method, chat, id, text, reply, buttons_of(params), files, dict(params))
    )
    return as_message(bot, chat, id, text)


def as_message(bot: BotState, chat: str, id: int, text: str) -> dict[str, Any]:
    message: dict[str, Any] = {
        "message_id": id,
        "date": int(time.time()),
        "chat": {"id": int(chat), "type": "private", "first_name": f"Customer {chat}"},
        "from": {"id": bot.id, "is_bot": True, "first_name": "Bot", "username": "fake_bot"},
    }
    return message | ({"text": text} if text else {})


def send_message(bot: BotState, params: Params, uploads: Uploads) -> Any:
    text = need(params, "text")
    if units(text) > 4096:
        raise bad("message is too long")
    return show(bot, "sendMessage", params, text, [])


def upload(value: str, uploads: Uploads) -> dict[str, Any]:
    name = value.removeprefix("attach://")
    if name not in uploads:
        raise bad("wrong file identifier/HTTP URL specified")
    filename, data = uploads[name]
    return {"name": filename, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def caption_of(params: Params) -> str:
    caption = params.get("caption", "")
    if units(caption) > 1024:
        raise bad("message caption is too long")
    return caption


def sender(method: str, part: str) -> Callable[[BotState, Params, Uploads], Any]:
    def send(bot: BotState, params: Params, uploads: Uploads) -> Any:
        if not params.get(part):
            params[part] = f"attach://{part}"
        return show(bot, method, params, caption_of(params), [upload(params[part], uploads)])

    return send


def send_media_group(bot: BotState, params: Params, uploads: Uploads) -> Any:
    parts = json.loads(need(params, "media"))
    if not 2 <= len(parts) <= 10:
        raise bad("group message must include 2-10 items")
    if params.get("reply_markup"):
        raise bad("reply_markup is not allowed in an album")
    return [
        show(bot, "sendMediaGroup", params, caption_of(part), [upload(part["media"], uploads)])
        for part in parts
    ]


def edit_text(bot: BotState, params: Params, uploads: Uploads) -> Any:
    text = need(params, "text" if "text" in params else "caption")
    id = int(need(params, "message_id"))
    if id not in bot.shown:
        raise bad("message to edit not found")
    if bot.shown[id] == text:
        raise bad(
            "message is not modified: specified new message content and reply markup are exactly the same"
        )
    bot.shown[id] = text
    chat = chat_of(params)
    bot.sent.append(SentMessage(time.time(), "edit", chat, id, text, params=dict(params)))
    return as_message(bot, chat, id, text)


def delete_message(bot: BotState, params: Params, uploads: Uploads) -> Any:
    id = int(need(params, "message_id"))
    if bot.shown.pop(id, None) is None:
        raise bad("message to delete not found")
    bot.sent.append(SentMessage(time.time(), "delete", chat_of(params), id))
    return True


def delete_business_messages(bot: BotState, params: Params, uploads: Uploads) -> Any:
    check_place(bot, params)
    for id in json.loads(need(params, "message_ids")):
        bot.shown.pop(id, None)
        bot.sent.append(SentMessage(time.time(), "delete", "", id, params=dict(params)))
    return True


def get_business_connection(bot: BotState, params: Params, uploads: Uploads) -> Any:
    id = need(params, "business_connection_id")
    if id not in bot.connections:
        raise bad("BUSINESS_CONNECTION_INVALID")
    return {
        "id": id,
        "user": {"id": 900, "is_bot": False, "first_name": "Owner"},
        "user_chat_id": 900,
        "date": int(time.time()),
        "is_enabled": True,
        "rights": {"can_reply": True} if bot.connections[id] else {},
    }


def get_me(bot: BotState, params: Params, uploads: Uploads) -> Any:
    return {"id": bot.id, "is_bot": True, "first_name": "Fake", "username": "fake_bot"}


def get_file(bot: BotState, params: Params, uploads: Uploads) -> Any:
    id = need(params, "file_id")
    if id not in bot.files:
        raise bad("wrong file_id or the file is temporarily unavailable")
    return {
        "file_id": id,
        "file_unique_id": id,
        "file_size": len(bot.files[id]),
        "file_path": f"documents/{id}",
    }


def set_webhook(bot: BotState, params: Params, uploads: Uploads) -> Any:
    url = params.get("url", "")
    allowed = json.loads(params.get("allowed_updates", "[]"))
    limit = int(params.get("max_connections", "40"))
    bot.webhook = Webhook(url, params.get("secret_token", ""), limit, allowed) if url else None
    bot.news.set()
    if bot.poller is not None and not bot.poller.done():
        bot.poller.set_result(None)
    return True


def delete_webhook(bot: BotState, params: Params, uploads: Uploads) -> Any:
    bot.webhook = None
    if params.get("drop_pending_updates") == "true":
        bot.updates.clear()
    return True


def webhook_info(bot: BotState, params: Params, uploads: Uploads) -> Any:
    info: dict[str, Any] = {
        "url": bot.webhook.url if bot.webhook else "",
        "has_custom_certificate": False,
        "pending_update_count": len(bot.updates),
    }
    if bot.last_error:
        info |= {"last_error_date": int(time.time()), "last_error_message": bot.last_error}
    return info


def just_true(bot: BotState, params: Params, uploads: Uploads) -> Any:
    return True


METHODS: dict[str, Callable[[BotState, Params, Uploads], Any]] = {
    "getme": get_me,
    "sendmessage": send_message,
    "sendphoto": sender("sendPhoto", "photo"),
    "sendvideo": sender("sendVideo", "video"),
    "sendaudio": sender("sendAudio", "audio"),
    "sendvoice": sender("sendVoice", "voice"),
    "senddocument": sender("sendDocument", "document"),
    "sendmediagroup": send_media_group,
    "sendchataction": just_true,
    "answercallbackquery": just_true,
    "editmessagetext": edit_text,
    "editmessagecaption": edit_text,
    "deletemessage": delete_message,
    "deletebusinessmessages": delete_business_messages,
    "getbusinessconnection": get_business_connection,
    "getfile": get_file,
    "setwebhook": set_webhook,
    "deletewebhook": delete_webhook,
    "getwebhookinfo": webhook_info,
}
