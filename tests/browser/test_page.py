"""The console in a real browser: keys without a click, nothing from elsewhere, and a phone's screen."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from router.wire import protocol as wire
from tests.browser.chromium import Page, browser, installed
from tests.conftest import until
from tests.console.conftest import frames, furnish
from tests.fakes.gateway import FakeGateway, message

pytest.importorskip(
    "textual_serve", reason="textual-serve is not installed: pip install 'navbat[web-console]'"
)
if not installed():
    pytest.skip("there is no chromium here: the page is not tested", allow_module_level=True)

pytestmark = pytest.mark.slow
PHONE = (390, 844)
WITH_KEYBOARD = (390, 470)
ALT, CTRL, SHIFT = 1, 2, 8


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with furnish(FakeGateway()).serve() as served:
        yield served


@pytest.fixture
async def address(gateway: FakeGateway, tmp_path: Path) -> AsyncIterator[str]:
    """The address that ``navbat console --web`` prints."""
    environment = os.environ | {
        "NAVBAT_TOKEN": "token-1", "NAVBAT_STATE": str(tmp_path / "state"), "NAVBAT_KEYRING": "off",
        "XDG_CONFIG_HOME": str(tmp_path / "config"), "LANG": "en_US.UTF-8",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "navbat", "console", "--url", gateway.url, "--web",
        env=environment, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            line = (await process.stdout.readline()).decode()
        found = re.search(r"http\S+", line)
        assert found, line
        yield found[0]
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with browser(Path(folder)) as page:
            yield page


async def opened(page: Page, address: str, gateway: FakeGateway) -> None:
    """Waits until the console is on the page and its lists have come."""
    await page.open(address)
    await page.until("document.body.classList.contains('-first-byte')")
    await until(lambda: frames(gateway, wire.Ping), 20.0)


class Cells:
    """Where the terminal's cells are on the page."""

    def __init__(self, told: dict[str, float]) -> None:
        self.columns, self.rows = int(told["columns"]), int(told["rows"])
        self._cell = told["width"] / self.columns, told["height"] / self.rows

    def at(self, column: int, row: int) -> tuple[float, float]:
        """The middle of a cell; negative rows count from the bottom."""
        return (column + 0.5) * self._cell[0], ((row % self.rows) + 0.5) * self._cell[1]


async def cells(page: Page) -> Cells:
    """Of the screen as it is now, which must lie on the page and be painted in its pixels."""
    await page.value("window.dispatchEvent(new Event('resize'))")
    told = await page.value(
        """(() => {
            const screen = document.querySelector(".xterm-screen").getBoundingClientRect();
            const canvas = document.querySelector(".xterm-screen canvas");
            const style = getComputedStyle(document.querySelector(".xterm-helpers textarea"));
            return {
                left: screen.left, top: screen.top, width: screen.width, height: screen.height,
                page: [innerWidth, innerHeight],
                scrolls: document.scrollingElement.scrollHeight > innerHeight,
                painted: canvas.width / (screen.width * devicePixelRatio),
            };
        })()"""
    )
    assert (told["left"], told["top"]) == (0, 0)
    assert told["width"] <= told["page"][0]
    assert told["height"] <= told["page"][1]
    assert not told["scrolls"]
    assert told["painted"] == pytest.approx(1.0, abs=0.02)
    return Cells(told | await page.value("({columns: window.sized[0], rows: window.sized[1]})"))


async def until_heard(
    kind: type[wire.Frame], gateway: FakeGateway, act: Callable[[], Awaitable[None]]
) -> None:
    """Does it again until the desk hears of it: what it is for may not be painted yet, or just now."""

    async def heard() -> bool:
        await act()
        try:
            async with asyncio.timeout(1.0):
                await gateway.expect(kind)
        except TimeoutError:
            return False
        return True

    await until(heard, 20.0)


async def tap_for(
    kind: type[wire.Frame], page: Page, gateway: FakeGateway, place: tuple[float, float]
) -> None:
    await until_heard(kind, gateway, partial(page.tap, *place))


WATCH_SIZE = """
window.sized = [0, 0];
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
    const [what, size] = JSON.parse(data);
    if (what === "resize") window.sized = [size.width, size.height];
    send.call(this, data);
};
"""


async def test_typing_works_at_once_and_nothing_comes_from_elsewhere(
    page: Page, address: str, gateway: FakeGateway
) -> None:
    await opened(page, address, gateway)
    await until_heard(wire.Open, gateway, partial(page.press, "Enter", 13, text="\r"))
    await page.insert("salom")
    await page.press("Enter", 13, text="\r", held=ALT)
    await page.insert("dunyo")
    await page.press("Enter", 13, text="\r", held=SHIFT)
    await page.insert("!")
    await page.press("Enter", 13, text="\r")
    said = await gateway.expect(wire.Say)
    assert (said.session, said.text) == ("10", "salom\ndunyo\n!")
    assert await page.value("document.title") == "navbat"
    origin = address.partition("/?")[0]
    hosts = {re.sub(r"^ws", "http", re.match(r"\w+://[^/]+|\w+:", url)[0]) for url in page.requested}  # type: ignore[index]
    assert hosts == {origin}
    assert page.complaints == []
    assert await page.value("document.fonts.check('16px \"Roboto Mono\"')")


async def test_the_page_may_load_nothing_from_elsewhere(
    page: Page, address: str, gateway: FakeGateway
) -> None:
    await opened(page, address, gateway)
    await page.value(
        "document.body.appendChild(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))"
    )
    await until(lambda: any("Content Security Policy" in text for text in page.complaints))


async def test_a_page_that_is_closed_leaves_duty(page: Page, address: str, gateway: FakeGateway) -> None:
    await opened(page, address, gateway)
    assert gateway._sockets
    await page.open("about:blank")
    await until(lambda: not gateway._sockets, 5.0)


async def test_a_phone_shows_all_of_the_narrow_console_and_writes_by_touch(
    page: Page, address: str, gateway: FakeGateway
) -> None:
    await page.phone(*PHONE)
    await page.do("Page.addScriptToEvaluateOnNewDocument", source=WATCH_SIZE)
    await opened(page, address, gateway)
    place = await cells(page)
    assert 48 <= place.columns < 70  # narrow, and wide enough for it
    assert place.rows > 40
    await tap_for(wire.Open, page, gateway, place.at(10, 2))  # the first conversation
    await page.phone(*WITH_KEYBOARD)
    await page.until("window.sized[1] < 32")
    await page.insert("salom")
    await page.press("Enter", 13, text="\r")
    assert (await gateway.expect(wire.Say)).text == "salom"
    place = await cells(page)
    await page.tap(*place.at(10, 5))  # the thread
    await page.tap(*place.at(20, -3))  # the composer
    await page.insert("yana")
    await page.tap(*place.at(3, -1))  # "send" in the last line
    said = await gateway.expect(wire.Say, text="yana")
    assert said.session == "10"


async def test_a_finger_scrolls_the_conversation(page: Page, address: str, gateway: FakeGateway) -> None:
    gateway.messages["10"] = [message("10", seq, f"message {seq}") for seq in range(1, 400)]
    await page.phone(*PHONE)
    await page.do("Page.addScriptToEvaluateOnNewDocument", source=WATCH_SIZE)
    await opened(page, address, gateway)
    place = await cells(page)
    await tap_for(wire.Open, page, gateway, place.at(10, 2))

    async def older() -> bool:
        await page.swipe(*place.at(20, 10), 400)
        return bool(frames(gateway, wire.GetThread))

    await until(older, 30.0)
