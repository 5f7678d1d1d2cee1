"""That somebody writes is told at once where it begins: what is offered does not lapse under his hands."""

from __future__ import annotations

from router.wire import protocol as wire
from tests.console.conftest import Clock, frames, seated
from tests.fakes.gateway import FakeGateway


async def test_the_first_key_in_each_conversation_is_told_at_once(gateway: FakeGateway) -> None:
    clock = Clock()
    async with seated(gateway, clock=clock) as seat:
        await seat.open("10")
        seat.desk.verbs.do_reply()
        await seat.write("a")
        await gateway.expect(wire.Typing, session="10", on=True)
        await seat.open("12")
        seat.desk.verbs.do_reply()
        await seat.write("b")
        await gateway.expect(wire.Typing, session="12", on=True)


async def test_keys_are_told_again_every_few_seconds_notes_as_drafts(gateway: FakeGateway) -> None:
    clock = Clock()
    async with seated(gateway, clock=clock) as seat:
        await seat.open("12")
        seat.desk.verbs.do_note()
        for n in range(10):
            await seat.write(str(n))
            clock.time += 1_000
        told = frames(gateway, wire.Typing)
        assert [(hint.session, hint.draft) for hint in told] == [("12", True)] * len(told)
        assert 3 <= len(told) <= 4
