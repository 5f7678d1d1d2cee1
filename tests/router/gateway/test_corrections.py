"""A correction from the console to the channel and back: everybody sees what the customer sees."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from crm.conversations import history
from crm.kernel.records import Message
from navbat.cli import shapes
from router.desk.events import Delivered
from router.history.projector import Projector
from router.log.log import Log
from router.wire import protocol
from router.wire.protocol import Changes
from tests.conftest import until
from tests.router.desk_in_process import Client, DeskInProcess, deliveries, running_desk


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    async with running_desk(log, tmp_path) as desk:
        desk.gateway.picture.can = {"bot": ["edit"]}
        yield desk


async def corrected(desk: DeskInProcess, state: Any) -> tuple[Client, str, str]:
    """anna has answered and corrected it, and the channel has said what became of that; the message and
    the correction."""
    await desk.duty("anna")
    anna = await desk.login("anna")
    await desk.write("ali", "narxi?")
    await anna.until(lambda f: isinstance(f, Changes) and f.messages)
    said = await anna.ask(protocol.Say, session="1", text="89")
    await outcome(desk, said.message, "sent", external_id="x1")
    await anna.until(lambda f: isinstance(f, Changes) and any(c.delivery == "sent" for c in f.changes))
    assert (await anna.ask(protocol.EditMessage, session="1", message=said.message, text="99")).code == ""
    edit = [d for d in await deliveries(desk.log, "bot") if d.action == "edit"][-1]
    await outcome(desk, said.message, state, edit=edit.id, error="message can't be edited")
    await anna.until(lambda f: isinstance(f, Changes) and any(c.edit_delivery for c in f.changes))
    return anna, said.message, edit.id


async def outcome(desk: DeskInProcess, message: str, state: Any, **more: Any) -> None:
    await desk.log.append(
        Delivered(
            chat="bot:ali", session="1", message=message, state=state, event_id=f"{more}{state}", **more
        )
    )


async def shown(client: Client, id: str) -> Message:
    page = await client.ask(protocol.Open, session="1")
    found: Message = next(m for m in page.messages if m.id == id)
    return found


@pytest.mark.parametrize("stored", [True, False])
async def test_one_that_the_channel_refuses_goes_back(desk: DeskInProcess, stored: bool) -> None:
    if not stored:
        await desk.stop("projector")
    anna, id, edit = await corrected(desk, "failed")
    if stored:
        await until(lambda: _has_failed(desk, id))
    seen = await shown(anna, id)
    assert (seen.text, seen.edited_at, seen.delivery, seen.error) == ("89", 0, "sent", "")
    assert [(v.text, v.edit, v.delivery, v.error) for v in seen.versions] == [
        ("99", edit, "failed", "message can't be edited")
    ]
    told = shapes.message(seen)
    assert (told["text"], told["edited_at"], told["versions"][0]["delivery"]) == ("89", None, "failed")
    alerts = [a.name for f in anna.frames if isinstance(f, Changes) for a in f.alerts]
    assert alerts == ["edit_failed"]
    if not stored:
        desk.start("projector", Projector(desk.log, desk.store))
        await until(lambda: _has_failed(desk, id))
    found = history.message((await desk.store.find("messages", {"_id": id}))[0])
    assert (found.text, found.versions) == (seen.text, seen.versions)


async def _has_failed(desk: DeskInProcess, id: str) -> bool:
    found = await desk.store.find("messages", {"_id": id})
    return bool(found) and any(v.delivery == "failed" for v in history.message(found[0]).versions)


async def test_one_of_which_nobody_knows_is_shown_as_that(desk: DeskInProcess) -> None:
    anna, id, _ = await corrected(desk, "unknown")
    seen = await shown(anna, id)
    assert (seen.text, seen.edit_delivery, seen.delivery) == ("99", "unknown", "sent")
    assert shapes.message(seen)["edit_delivery"] == "unknown"
    alerts = [a.name for f in anna.frames if isinstance(f, Changes) for a in f.alerts]
    assert alerts == ["edit_unknown"]


async def test_one_that_arrives(desk: DeskInProcess) -> None:
    anna, id, _ = await corrected(desk, "sent")
    seen = await shown(anna, id)
    assert (seen.text, seen.edit_delivery, seen.external_id) == ("99", "sent", "x1")
    assert [v.text for v in seen.versions] == ["89"]
