"""A Bot API server: ``python -m tests.fakes.telegram --port 8081``.

Any token is a bot. Updates are kept until an offset or a web hook's 2xx confirms them. A web hook
gets up to ``max_connections`` posts at a time; as on the real server the updates of one chat wait
for each other, unless ``overtaking`` is on, which is the worst that the documentation allows.

``/sim/<token>/…`` is the test's side: ``POST message {chat, text}``, ``POST update {…}``,
``POST fault {kind, method, …}``, ``POST file {id, base64}``, ``GET state``.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

from tests.fakes.bot_methods import METHODS, ApiError, Params, Uploads, chat_of
from tests.fakes.bot_state import BotState, Fault, Update, Webhook
from tests.fakes.push import PushConnection

FIRST_RETRY = 0.05
LAST_RETRY = 1.0
"""Seconds between tries of one web hook post; Telegram's own are longer."""


class FakeTelegram:
    """The server, in this process or in one of its own."""

    def __init__(self, *, overtaking: bool = False) -> None:
        self.bots: dict[str, BotState] = {}
        self.overtaking = overtaking
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._pushers: dict[str, asyncio.Task[None]] = {}

    def bot(self, token: str) -> BotState:
        if token not in self.bots:
            self.bots[token] = BotState(token)
        return self.bots[token]

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/bot{token}/{method}", self._api)
        app.router.add_get("/file/bot{token}/{path:.+}", self._file)
        app.router.add_get("/sim/{token}/state", self._state)
        app.router.add_post("/sim/{token}/{what}", self._simulate)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        for task in self._pushers.values():
            task.cancel()
        await asyncio.gather(*self._pushers.values(), return_exceptions=True)
        for bot in self.bots.values():
            if bot.poller is not None and not bot.poller.done():
                bot.poller.set_result(None)
        if self._runner is not None:
            await self._runner.cleanup()

    # ---------------------------------------------------------------- the Bot API

    async def _api(self, request: web.Request) -> web.StreamResponse:
        bot = self.bot(request.match_info["token"])
        name = request.match_info["method"]
        params, uploads = await _read(request)
        bot.calls.append((time.time(), name, params))
        fault = bot.fault(name, params.get("chat_id", ""))
        if fault is not None and (refusal := _refused(fault, request)):
            return refusal
        try:
            result = await self._carry_out(bot, name, params, uploads)
        except ApiError as error:
            return _error(error)
        if fault is not None:
            return await _spoiled(fault, request, result)
        if name == "getUpdates" and bot.raw:
            rows = [bot.raw.get(one["update_id"]) or json.dumps(one).encode() for one in result]
            body = b'{"ok":true,"result":[' + b",".join(rows) + b"]}"
            return web.Response(body=body, content_type="application/json")
        return web.json_response({"ok": True, "result": result})

    async def _carry_out(self, bot: BotState, name: str, params: Params, uploads: Uploads) -> Any:
        if name == "getUpdates":
            return await self._updates(bot, params)
        method = METHODS.get(name.lower())
        if method is None:
            raise ApiError(404, "Not Found: method not found")
        if name.startswith(("send", "edit", "delete")) and "Webhook" not in name and "Business" not in name:
            chat_of(params)
        result = method(bot, params, uploads)
        if name in ("setWebhook", "deleteWebhook"):
            self._repush(bot)
        return result

    async def _updates(self, bot: BotState, params: Params) -> list[Update]:
        if bot.webhook is not None:
            raise ApiError(
                409,
                "Conflict: can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first",
            )
        if bot.poller is not None and not bot.poller.done():
            bot.poller.set_result(None)
        me = bot.poller = asyncio.get_running_loop().create_future()
        bot.confirm(int(params.get("offset", "0")))
        deadline = time.monotonic() + float(params.get("timeout", "0"))
        while not bot.updates and (left := deadline - time.monotonic()) > 0:
            bot.news.clear()
            news = asyncio.ensure_future(bot.news.wait())
            await asyncio.wait({news, me}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
            if me.done():
                raise ApiError(
                    409,
                    "Conflict: terminated by other getUpdates request; "
                    "make sure that only one bot instance is running",
                )
        me.cancel()
        return list(bot.updates)[: int(params.get("limit", "100"))]

    async def _file(self, request: web.Request) -> web.StreamResponse:
        bot = self.bot(request.match_info["token"])
        fault = bot.fault("file", "")
        if fault is not None and (refusal := _refused(fault, request)):
            return refusal
        data = bot.files.get(request.match_info["path"].rpartition("/")[2])
        if data is None:
            return web.Response(status=404)
        return web.Response(body=data)

    # ---------------------------------------------------------------- the web hook

    def _repush(self, bot: BotState) -> None:
        if (old := self._pushers.pop(bot.token, None)) is not None:
            old.cancel()
        if bot.webhook is not None:
            self._pushers[bot.token] = asyncio.get_running_loop().create_task(self._push(bot, bot.webhook))

    async def _push(self, bot: BotState, hook: Webhook) -> None:
        """Gives each update to a worker once its chat has no other under way."""
        headers = {"X-Telegram-Bot-Api-Secret-Token": hook.secret}
        idle = [PushConnection(hook.url, headers) for _ in range(hook.max_connections)]
        slots = asyncio.Semaphore(hook.max_connections)
        queues: dict[object, deque[Update]] = {}
        seen: set[int] = set()

        async def work(key: object) -> None:
            queue = queues[key]
            while queue:
                await self._deliver(bot, queue[0], idle, slots)
                queue.popleft()
            del queues[key]

        async with _closing(idle), asyncio.TaskGroup() as group:
            while True:
                for update in [u for u in bot.updates if u["update_id"] not in seen]:
                    seen.add(update["update_id"])
                    key = update["update_id"] if self.overtaking else _chat_key(update)
                    if key in queues:
                        queues[key].append(update)
                    else:
                        queues[key] = deque([update])
                        group.create_task(work(key))
                bot.news.clear()
                await bot.news.wait()

    async def _deliver(
        self, bot: BotState, update: Update, idle: list[PushConnection], slots: asyncio.Semaphore
    ) -> None:
        body = json.dumps(update, ensure_ascii=False).encode()
        wait = FIRST_RETRY
        while True:
            async with slots:
                connection = idle.pop()
                try:
                    status = await connection.post(body)
                finally:
                    idle.append(connection)
            if 200 <= status < 300:
                bot.updates.remove(update)
                bot.confirmed += 1
                return
            bot.last_error = f"Wrong response from the webhook: {status}"
            await asyncio.sleep(wait)
            wait = min(LAST_RETRY, 2 * wait)

    # ---------------------------------------------------------------- the test's side

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response(self.bot(request.match_info["token"]).picture())

    async def _simulate(self, request: web.Request) -> web.Response:
        bot = self.bot(request.match_info["token"])
        content = await request.json()
        match request.match_info["what"]:
            case "message":
                return web.json_response(
                    bot.message(int(content.pop("chat")), content.pop("text"), **content)
                )
            case "update":
                return web.json_response(bot.add(content))
            case "fault":
                bot.faults.append(Fault(**content))
            case "file":
                bot.files[content["id"]] = base64.b64decode(content["base64"])
            case _:
                return web.Response(status=404)
        return web.json_response({})


@contextlib.asynccontextmanager
async def _closing(connections: list[PushConnection]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for connection in connections:
            connection.close()


def _chat_key(update: Update) -> object:
    for kind, content in update.items():
        if isinstance(content, dict):
            holder = content if "chat" in content else content.get("message", {})
            return kind, holder.get("chat", {}).get("id", update["update_id"])
    return update["update_id"]


async def _read(request: web.Request) -> tuple[Params, Uploads]:
    params: Params = dict(request.query)
    uploads: Uploads = {}
    if request.content_type == "application/json":
        for name, value in (await request.json()).items():
            params[name] = value if isinstance(value, str) else json.dumps(value)
        return params, uploads
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            uploads[name] = (value.filename, value.file.read())
        else:
            params[name] = str(value)
    return params, uploads


def _error(error: ApiError) -> web.Response:
    answer: dict[str, Any] = {"ok": False, "error_code": error.code, "description": error.description}
    if error.parameters:
        answer["parameters"] = error.parameters
    return web.json_response(answer, status=error.code)


def _close(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _refused(fault: Fault, request: web.Request) -> web.Response | None:
    """The answer of a fault that strikes before anything was done."""
    seconds = int(fault.seconds)
    errors: dict[str, Callable[[], ApiError]] = {
        "retry_after": lambda: ApiError(
            429, f"Too Many Requests: retry after {seconds}", retry_after=seconds
        ),
        "blocked": lambda: ApiError(403, "Forbidden: bot was blocked by the user"),
        "bad_request": lambda: ApiError(400, "Bad Request: chat not found"),
        "migrate": lambda: ApiError(
            400,
            "Bad Request: group chat was upgraded to a supergroup chat",
            migrate_to_chat_id=int(fault.to),
        ),
        "unauthorized": lambda: ApiError(401, "Unauthorized"),
        "error": lambda: ApiError(500, "Internal Server Error"),
        "too_large": lambda: ApiError(413, "Request Entity Too Large"),
        "refused": lambda: ApiError(400, f"Bad Request: {fault.to}"),
    }
    if fault.kind in errors:
        return _error(errors[fault.kind]())
    if fault.kind == "html":
        return web.Response(status=502, text="<html>502 Bad Gateway</html>", content_type="text/html")
    if fault.kind == "page":
        page = f"<html><head><title>{fault.to}</title></head></html>"
        return web.Response(status=int(fault.to[:3]), text=page, content_type="text/html")
    if fault.kind == "refuse":
        _close(request)
        return web.Response()
    return None


async def _spoiled(fault: Fault, request: web.Request, result: Any) -> web.Response:
    """The answer of a fault that strikes after it was done."""
    if fault.kind == "hang":
        await asyncio.sleep(fault.seconds)
    if fault.kind in ("hang", "cut"):
        _close(request)
        return web.Response()
    strange = {"type": "telepathy", "date": 0, "sender_user": {"id": "?"}}
    if isinstance(result, dict):
        result = result | {"forward_origin": strange}
    return web.json_response({"ok": True, "result": result})


async def serve(port: int, overtaking: bool) -> None:
    server = FakeTelegram(overtaking=overtaking)
    await server.start(port)
    print(server.url, flush=True)  # noqa: T201
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="A Bot API server for tests.")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--overtaking", action="store_true")
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments.port, arguments.overtaking))


if __name__ == "__main__":
    main()
