"""A real Chromium without a screen, driven over its DevTools protocol: no library of 50 MB, no download."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def installed() -> str:
    """The browser's program; empty where there is none."""
    return os.environ.get("CHROMIUM", "") or next(filter(None, map(shutil.which, NAMES)), "")


class Page:
    """One page. ``requested`` has the address of everything that it has asked any host for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.requested: list[str] = []
        self.complaints: list[str] = []
        """What was thrown and caught by nobody, and what the page was not allowed to load."""
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def listen(self) -> None:
        async for message in self._socket:
            data = json.loads(message.data)
            if "id" in data:
                self._answers.pop(data["id"]).set_result(data)
            elif data["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
                told = data["params"]
                self.requested.append(told["url"] if "url" in told else told["request"]["url"])
            elif data["method"] == "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(data["params"]["exceptionDetails"])[:500])
            elif data["method"] == "Log.entryAdded" and data["params"]["entry"]["level"] == "error":
                self.complaints.append(data["params"]["entry"]["text"])

    async def do(self, method: str, **given: Any) -> dict[str, Any]:
        """One command of the protocol; its result."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": given})
        async with asyncio.timeout(15):
            answer = await self._answers[number]
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def value(self, expression: str) -> Any:
        """What an expression is worth in the page."""
        answer = await self.do("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, expression: str, within: float = 20.0) -> None:
        """Waits for an expression to be true."""
        deadline = time.monotonic() + within
        while not await self.value(f"try {{ {expression} }} catch {{ false }}"):  # it may be loading
            assert time.monotonic() < deadline, f"{expression} did not become true in {within} s"
            await asyncio.sleep(0.02)

    async def phone(self, width: int, height: int) -> None:
        """A screen for fingers, of this many CSS pixels; also what a keyboard leaves of it."""
        await self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=3, mobile=True
        )
        await self.do("Emulation.setTouchEmulationEnabled", enabled=True)

    async def open(self, url: str) -> None:
        await self.do("Page.navigate", url=url)

    async def insert(self, text: str) -> None:
        """Letters, as a keyboard of a phone gives them."""
        await self.do("Input.insertText", text=text)

    async def press(self, key: str, code: int, *, text: str = "", held: int = 0) -> None:
        """A key of a keyboard; ``held``: Alt 1, Ctrl 2, Shift 8."""
        given = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": held}
        await self.do("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **given)
        await self.do("Input.dispatchKeyEvent", type="keyUp", **given)

    async def tap(self, x: float, y: float) -> None:
        await self.do("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        await self.do("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    async def swipe(self, x: float, y: float, by: float) -> None:
        """A finger that goes down by ``by`` pixels."""
        await self.do("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        for step in range(1, 11):
            at = [{"x": x, "y": y + by * step / 10}]
            await self.do("Input.dispatchTouchEvent", type="touchMove", touchPoints=at)
        await self.do("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    async def picture(self, path: Path) -> None:
        answer = await self.do("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(answer["data"]))


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Page]:
    """A page of a browser that keeps everything in ``folder``."""
    process = await asyncio.create_subprocess_exec(
        installed(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--window-size=1280,800", f"--user-data-dir={folder}", "--remote-debugging-port=0", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        port = await _port(folder / "DevToolsActivePort")
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
                [target] = [page for page in await answer.json() if page["type"] == "page"]
            async with http.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                listener = asyncio.create_task(page.listen())
                for domain in ("Page", "Network", "Runtime", "Log"):
                    await page.do(f"{domain}.enable")
                yield page
                listener.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        await process.wait()


async def _port(file: Path) -> int:
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int((await asyncio.to_thread(file.read_text)).split()[0])
        assert time.monotonic() < deadline, "the browser did not start"
        await asyncio.sleep(0.05)
