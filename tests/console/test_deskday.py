"""What an operator sees during a day, and what clicks do."""

from __future__ import annotations

from textual.widgets import OptionList

from console.actions import BY_ID
from console.condition import Condition
from console.screens.dialogs import PickScreen, ShowScreen
from console.screens.help import help_lines
from console.text.signs import COLOURS, SIGNS
from console.text.words import LANGUAGES, Words
from navbat.lab.demo.screen import DemoConsole
from router.wire import protocol as wire
from tests.console.acts import acts
from tests.console.conftest import Clock, Seat, seated
from tests.fakes.gateway import NOW, FakeGateway, session


def row(seat: Seat, name: str) -> list[str]:
    """The two lines of a session in the list."""
    lines = seat.text().splitlines()
    at = next(n for n, line in enumerate(lines) if name in line)
    return [line.split("│")[1] for line in lines[at : at + 2]]


async def test_rows_say_what_the_customer_asked_and_not_what_the_desk_said(gateway: FakeGateway) -> None:
    notice = "Everybody is busy"
    for id, name in (("12", "Web visitor"), ("13", "J. Smith"), ("11", "Olga P.")):
        gateway.sessions[id] = session(
            id, name=name, kind="web", status=gateway.sessions[id].status, holder=gateway.sessions[id].holder,
            last_text=notice, last_direction="out", asked_text="where is my order?", asked_kind="text",
            offer_until=NOW + 48_000, arrival=NOW - 92_000, waiting_since=NOW - 92_000,
        )  # fmt: skip
    async with seated(gateway) as seat:
        assert "where is my order?" in row(seat, "Web visitor")[1]
        assert "where is my order?" in row(seat, "J. Smith")[1]
        assert notice in row(seat, "Olga P.")[1]  # hers: what was said last, with its tick
        assert "✓" in row(seat, "Olga P.")[1]


async def test_a_triangle_is_about_a_promise_and_an_offer_has_a_mark_of_its_own(gateway: FakeGateway) -> None:
    clock = Clock()
    async with seated(gateway, clock=clock) as seat:
        assert "!Web visitor" in row(seat, "Web visitor")[0]
        clock.time = NOW + 40_000
        seat.desk.sessions.repaint()
        await seat.pilot.pause()
        offer = row(seat, "Web visitor")[0]
        assert "!!Web visitor" in offer
        assert "▲" not in offer
        assert "△" not in offer
        assert "▲" in row(seat, "J. Smith")[0]


async def test_the_footer_speaks_another_language_at_once(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        seen = set()
        for _ in LANGUAGES:
            seen.add(seat.text().splitlines()[-1])
            await seat.press("f3")
        assert len(seen) == len(LANGUAGES)


@acts("hint")
async def test_the_first_steps_can_be_shown_again(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        assert "take what is offered" not in seat.text()
        await seat.press("ctrl+p", *"first steps", "enter")
        await seat.until(lambda: "take what is offered" in seat.text())


def test_help_explains_every_sign() -> None:
    for language in LANGUAGES:
        words = Words(language)
        shown = [str(line) for line in help_lines(words, {})]
        for sign, means in (pair for signs in SIGNS.values() for pair in signs):
            assert any(
                line.startswith(f"{sign} ") and words(f"sign.{means}")[:20] in line for line in shown
            ), sign
        for place, signs in SIGNS.items():
            assert words(f"signs.{place}") in shown
            assert len({sign for sign, _ in signs}) == len(signs)
        for means in COLOURS.values():
            assert any(words(f"colour.{means}") in line for line in shown)


# ------------------------------------------------------------------ the line at the top


async def click_on(seat: Seat, text: str) -> None:
    line = seat.text().splitlines()[0]
    await seat.pilot.click(offset=(line.index(text) + 1, 0))
    await seat.pilot.pause()


@acts("to_waiting", "state")
async def test_everything_in_the_top_line_can_be_clicked(gateway: FakeGateway) -> None:
    gateway.rights["lead"] = ["sales"]
    async with seated(gateway, size=(140, 36)) as seat:
        await click_on(seat, "waiting 2")
        assert seat.desk.sessions.cursor == "13"
        assert seat.desk.sessions.has_focus
        await click_on(seat, "online")
        assert isinstance(seat.app.screen, PickScreen)
        await seat.press("escape")
        await click_on(seat, "navbat")
        assert isinstance(seat.app.screen, PickScreen)
        await seat.press("escape")
        await click_on(seat, " ms")
        assert isinstance(seat.app.screen, ShowScreen)
        assert "everything works" in seat.text()
        await seat.press("escape")
        await click_on(seat, "late")
        await seat.until(lambda: seat.desk.session)
        bar = seat.desk.bar
        width = seat.app.size.width
        dead = [x for x in range(width) if not bar.action_at(x)]
        shown = seat.text().splitlines()[0]
        assert all(shown[x] == " " for x in dead)
        assert {bar.action_at(x) for x in range(width)} - {""} <= set(BY_ID)


async def test_what_does_not_work_is_told_in_full(gateway: FakeGateway) -> None:
    async with seated(gateway) as seat:
        seat.app.latency, seat.app.unsent = -1.0, 3
        seat.app.how = Condition(lag=90_000, down=("shop_bot",))
        seat.desk.bar.refresh()
        await seat.pilot.pause()
        await click_on(seat, "3 unsent")
        for told in ("not connected", "3 not sent yet", "the desk is 1:30 behind", "does not work: shop_bot"):
            assert told in seat.text()
        assert "everything works" not in seat.text()


# ------------------------------------------------------------------ the demo


async def test_ctrl_c_in_the_demo_asks(gateway: FakeGateway) -> None:
    from datetime import UTC

    from console.link import Credentials
    from console.settings import Shelf

    app = DemoConsole(
        gateway.url, Credentials(token="token-1"), shelf=Shelf(), zone=UTC, clock=Clock(), greet=True
    )
    app.animation_level = "none"
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        seat = Seat(app, pilot)
        await seat.until(lambda: app.desk is not None and app.desk.ready)
        await seat.until(lambda: "on duty with nodira" in seat.text())
        await seat.press("ctrl+c")
        assert "Leave?" in seat.text()
        await seat.press("escape")
        assert "Leave?" not in seat.text()
        await seat.press("ctrl+c", "1")
        assert "Leave?" not in seat.text()
        assert app.is_running
        await seat.press("ctrl+c", "2")
    assert app.return_value == 0


@acts("transfer")
async def test_a_name_is_found_however_its_apostrophe_is_typed(gateway: FakeGateway) -> None:
    gateway.lines.append(wire.LineView(name="oʻzbek"))
    async with seated(gateway) as seat:
        for typed in ("o'zbek", "ozb", "OʼZBEK"):
            await seat.press("x")
            await seat.write(typed)
            await seat.until(lambda: isinstance(seat.app.screen, PickScreen) and "oʻzbek" in seat.text())
            options = seat.app.screen.query_one(OptionList)
            assert [option.id for option in options.options] == ["line:oʻzbek"]
            await seat.press("escape")
