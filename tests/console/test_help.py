"""The help is read from end to end, in any window."""

from __future__ import annotations

from textual.containers import VerticalScroll

from console.screens.dialogs import ShowScreen
from console.screens.help import INDENT
from console.widgets.lines import Lines
from tests.console.conftest import seated
from tests.fakes.gateway import FakeGateway


async def test_home_and_end_go_to_the_ends(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("f1")
        await seat.until(lambda: isinstance(seat.app.screen, ShowScreen))
        box = seat.app.screen.query_one(VerticalScroll)
        await seat.until(lambda: box.max_scroll_y > 10)
        await seat.press("end")
        await seat.until(lambda: box.scroll_y == box.max_scroll_y)
        await seat.press("home")
        await seat.until(lambda: box.scroll_y == 0)
        assert isinstance(seat.app.screen, ShowScreen)


async def test_a_window_that_shrinks_keeps_explanations_beside_their_keys(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        await seat.press("f1")
        await seat.until(lambda: isinstance(seat.app.screen, ShowScreen))
        lines = seat.app.screen.query_one(Lines)
        before = lines.size.width
        await seat.pilot.resize_terminal(50, 24)
        await seat.until(lambda: lines.size.width < before)
        shown = [str(line) for line in lines._lines(lines.size.width)]
        assert max(map(len, shown)) <= lines.size.width
        # What begins in the column of the keys is a key, a sign or a title: no rest of an explanation.
        of_wide = {line[:INDENT] for line in map(str, lines._text(200))}  # type: ignore[operator]
        assert {line[:INDENT] for line in shown} <= of_wide
