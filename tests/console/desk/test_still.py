"""What keeps its place is not laid out anew, and what has not changed is not painted: a key waits for neither."""

from __future__ import annotations

from functools import partial

import pytest
from textual import events
from textual._compositor import Compositor

from console.screens import swift
from console.screens.help import help_lines
from console.text.words import Words
from console.themes import THEMES
from tests.conftest import until
from tests.console.conftest import Seat, seated
from tests.fakes.gateway import FakeGateway, message


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> list[Compositor]:
    """Grows with every layout of a screen."""
    done: list[Compositor] = []
    reflow = Compositor.reflow

    def counted(self: Compositor, *args: object) -> object:
        done.append(self)
        return reflow(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Compositor, "reflow", counted)
    return done


@pytest.fixture
def painted_whole(monkeypatch: pytest.MonkeyPatch) -> list[Compositor]:
    """Grows with every paint of all of a screen."""
    done: list[Compositor] = []
    whole = Compositor.render_full_update

    def counted(self: Compositor, simplify: bool = False) -> object:
        done.append(self)
        return whole(self, simplify)

    monkeypatch.setattr(Compositor, "render_full_update", counted)
    return done


def _is_at(seat: Seat, area: str) -> bool:
    return seat.desk.area() == area


def _shows(seat: Seat, text: str) -> bool:
    return text in seat.text()


async def test_the_focus_moves_over_a_screen_that_stays(
    gateway: FakeGateway, laid_out: list[Compositor], painted_whole: list[Compositor]
) -> None:
    async with seated(gateway) as seat:
        await seat.open("10")
        laid_out.clear()
        painted_whole.clear()
        for key, area in (("escape", "thread"), ("escape", "list"), ("enter", "reply"), ("escape", "thread")):
            await seat.press(key)
            await seat.until(partial(_is_at, seat, area))
            await seat.pilot.pause(0.05)  # a turn in which Textual would paint
        assert not laid_out
        assert not painted_whole


async def test_messages_that_come_move_nothing_but_their_thread(
    gateway: FakeGateway, laid_out: list[Compositor]
) -> None:
    async with seated(gateway) as seat:
        await seat.open("10")
        await gateway.push(messages=[message("10", n, f"word {n}") for n in range(5, 60)])
        await seat.until(lambda: seat.desk.thread.show_vertical_scrollbar)
        await seat.pilot.pause(0.05)
        laid_out.clear()
        for n in range(60, 65):
            await gateway.push(messages=[message("10", n, f"word {n}")])
            await seat.until(partial(_shows, seat, f"word {n}"))
        assert not laid_out
        bar = seat.desk.thread.vertical_scrollbar
        assert (bar.window_virtual_size, bar.position) == (
            seat.desk.thread.virtual_size.height,
            seat.desk.thread.max_scroll_y,
        )


async def test_a_dialog_is_laid_out_once_and_leaves_the_desk_as_it_is(
    gateway: FakeGateway, laid_out: list[Compositor]
) -> None:
    async with seated(gateway) as seat:
        await seat.open("10")
        desk = seat.desk._compositor
        laid_out.clear()
        await seat.press("f1")
        await seat.until(lambda: "Help" in seat.text())
        assert desk not in laid_out


def test_help_is_put_together_once() -> None:
    words, colours = Words("en"), THEMES[0].variables
    assert help_lines(words, colours) is help_lines(Words("en"), colours)
    assert help_lines(words, colours) is not help_lines(Words("ru"), colours)


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[Compositor]:
    """Grows with every paint of a screen that has something to paint."""
    done: list[Compositor] = []
    update = Compositor.render_update

    def counted(self: Compositor, *args: object, **kwargs: object) -> object:
        done.append(self)
        return update(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Compositor, "render_update", counted)
    return done


async def test_what_a_key_changes_is_painted_without_waiting_for_a_beat(
    gateway: FakeGateway, painted: list[Compositor], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with seated(gateway) as seat:
        await seat.open("10")
        beats: list[str] = []
        seat.desk._update_timer.stop()  # there are no beats any more, but they can be asked for
        monkeypatch.setattr(seat.desk._update_timer, "resume", lambda: beats.append("asked for"))
        seat.desk._painted = 0.0  # the last paint is long ago
        painted.clear()
        seat.app.post_message(events.Key("escape", None))
        await until(lambda: bool(painted), within=5)
        monkeypatch.setattr(swift, "UPDATE_PERIOD", 3600.0)
        painted.clear()
        beats.clear()
        seat.desk.refresh()
        await until(lambda: bool(beats), within=5)
        assert not painted  # what comes sooner than that waits for its beat
