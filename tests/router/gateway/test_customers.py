"""One person over two channels: suggested, linked, merged and taken apart, on a whole desk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from crm.kernel.records import Media, customer_of
from router.desk.events import Author, MessageReceived
from router.log.log import Log
from router.wire import protocol
from router.wire.protocol import CustomerList, CustomerShown, Done, DuplicateList
from tests.conftest import until
from tests.router.desk_in_process import Client, DeskInProcess, running_desk

ALI, WEB = customer_of("bot:ali"), customer_of("help:web1")
NUMBER = "+998901234567"


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[DeskInProcess]:
    async with running_desk(log, tmp_path) as desk:
        yield desk


async def shown(client: Client, kind: type[protocol.Request], **fields: Any) -> CustomerShown:
    found = await client.ask(kind, **fields)
    assert isinstance(found, CustomerShown), found
    return found


async def refused(client: Client, kind: type[protocol.Request], **fields: Any) -> str:
    found = await client.ask(kind, **fields)
    assert isinstance(found, Done), found
    return found.code


async def known(desk: DeskInProcess, customer: str, **fields: Any) -> None:
    """Waits until the card says so."""

    async def says() -> bool:
        card = await desk.store.get("customers", customer) or {}
        return all(card.get(name) == value for name, value in fields.items())

    await until(says)


async def is_stored(desk: DeskInProcess, text: str) -> bool:
    return bool(await desk.store.find("messages", {"text": text}))


async def merges(desk: DeskInProcess) -> bool:
    """Whether one merge has been carried out to its end."""
    return len(await desk.store.find("merges", {})) == 1 and not await desk.store.find("intents", {})


async def both_write(desk: DeskInProcess) -> None:
    await desk.write("ali", "hello")
    await known(desk, ALI, lines=["sales"])
    await desk.write("web1", "hello", channel="help")
    await known(desk, WEB, lines=["support"])


async def shares_his_contact(desk: DeskInProcess, chat: str, channel: str, number: int) -> None:
    await desk.log.append(
        MessageReceived(
            channel=channel, chat=chat, event_id=f"shared:{number}", message_id=f"s{number}", kind="contact",
            author=Author(id=chat, name=chat.title(), phone=NUMBER), media=[Media(kind="contact", phone=NUMBER)],
        )
    )  # fmt: skip


async def test_a_number_in_a_chat_is_suggested_once_and_never_links(desk: DeskInProcess) -> None:
    boss = await desk.login("boss")
    await both_write(desk)
    await shown(boss, protocol.SetCustomer, customer=WEB, fields={"phones": NUMBER})
    await desk.write("ali", "My number is 90 123-45-67, mail A@B.uz", event_id="once")
    await desk.write("ali", "My number is 90 123-45-67, mail A@B.uz", event_id="once")
    await desk.write("ali", "again: +998 90 123 45 67")

    async def suggested() -> bool:
        card = await desk.store.get("customers", ALI) or {}
        return len(card.get("suggestions", ())) == 2

    await until(suggested)
    card = await shown(boss, protocol.GetCustomer, customer=ALI)
    assert [(one.key, one.session) for one in card.suggestions] == [
        (f"phone:{NUMBER}", "1"),
        ("email:a@b.uz", "1"),
    ]
    assert [(twin.id, twin.by) for twin in card.suggestions[0].alike] == [(WEB, "phone")]
    assert card.customer.get("phones", []) == []
    # One who may not read the other card hears that there is one, and nothing of it.
    anna = await desk.login("anna")
    (twin,) = (await shown(anna, protocol.GetCustomer, customer=ALI)).twins
    assert (twin.type, twin.by, twin.id, twin.title) == ("customer", "phone", "", "")
    assert await refused(anna, protocol.GetCustomer, customer=WEB) == "no_such_customer"
    assert await refused(anna, protocol.MergeCustomers, master=ALI, other=WEB) == "no_such_customer"

    card = await shown(anna, protocol.AnswerSuggestion, customer=ALI, key="email:a@b.uz")
    assert card.customer["emails"] == ["a@b.uz"]
    card = await shown(anna, protocol.AnswerSuggestion, customer=ALI, key=f"phone:{NUMBER}", accept=False)
    assert (card.suggestions, card.customer.get("phones", [])) == ([], [])
    await desk.write("ali", "+998901234567")
    await known(desk, ALI, suggestions=[])
    assert (
        await refused(anna, protocol.AnswerSuggestion, customer=ALI, key="phone:+1") == "no_such_suggestion"
    )


async def test_who_shares_his_own_number_is_known_by_it(desk: DeskInProcess) -> None:
    boss = await desk.login("boss")
    await both_write(desk)
    await shown(
        boss, protocol.SetCustomer, customer=ALI, fields={"phones": "90 123 45 67", "responsible": "bek"}
    )
    await shares_his_contact(desk, "web1", "help", 1)
    await until(lambda: merges(desk))
    card = await shown(boss, protocol.GetCustomer, customer=WEB)
    assert (card.customer["id"], card.merged) == (ALI, [WEB])
    attested = [one for one in card.customer["identities"] if one.get("kind") == "phone"]
    assert attested == [{"channel": "help", "kind": "phone", "value": NUMBER, "verified": True}]
    # Twice is once.
    await shares_his_contact(desk, "web1", "help", 2)
    await desk.write("web1", "are you there?", channel="help")
    await until(lambda: is_stored(desk, "are you there?"))
    await until(lambda: merges(desk))


async def test_with_two_cards_of_that_number_nobody_is_linked(desk: DeskInProcess) -> None:
    boss = await desk.login("boss")
    await both_write(desk)
    await desk.write("olga", "hello")
    olga = customer_of("bot:olga")
    await known(desk, olga, lines=["sales"])
    for customer in (ALI, olga):
        await shown(boss, protocol.SetCustomer, customer=customer, fields={"phones": NUMBER})
    await shares_his_contact(desk, "web1", "help", 1)

    async def tried() -> bool:
        card = await desk.store.get("customers", WEB) or {}
        return f"phone:{NUMBER}" in card.get("keys", ()) and not await desk.store.find("intents", {})

    await until(tried)
    found = await boss.ask(protocol.GetDuplicates)
    assert isinstance(found, DuplicateList)
    assert {item.customer["id"] for item in found.items} == {ALI, WEB, olga}
    assert await desk.store.find("merges", {}) == []


async def test_the_responsible_is_asked_on_the_second_channel_at_once(desk: DeskInProcess) -> None:
    boss, anna = await desk.login("boss"), await desk.login("anna")
    await both_write(desk)
    await shown(boss, protocol.SetCustomer, customer=ALI, fields={"responsible": "anna"})
    await desk.duty("anna")
    await until(lambda: desk.gateway.picture.sessions["1"].holder == "anna")
    assert desk.gateway.picture.sessions["2"].holder == ""
    linked = await shown(boss, protocol.LinkSession, session="2", customer=ALI)
    assert linked.customer["lines"] == ["sales", "support"]
    # She is no member of support, and is asked all the same.
    await until(lambda: desk.gateway.picture.sessions["2"].holder == "anna")
    assert desk.gateway.picture.sessions["2"].customer == ALI
    await known(desk, WEB, merged_into=ALI)
    # Both conversations are one person's, for whoever asks by either id.
    for id in (ALI, WEB):
        page = await boss.ask(protocol.GetHistory, customer=id)
        assert {message.session for message in page.messages if message.direction == "in"} == {"1", "2"}
    # And the next session there is hers too, however soon it comes.
    assert (await anna.ask(protocol.Take, session="2")).code == ""
    assert (await anna.ask(protocol.Close, session="2")).code == ""
    await desk.write("web1", "one more thing", channel="help")
    await until(
        lambda: any(
            s.id not in ("1", "2") and s.holder == "anna" for s in desk.gateway.picture.sessions.values()
        )
    )
    # Taken apart, nobody knows the responsible there.
    back = await shown(boss, protocol.UnmergeCustomer, other=WEB)
    assert back.customer["id"] == WEB
    page = await boss.ask(protocol.GetHistory, customer=ALI)
    assert {message.session for message in page.messages} == {"1"}


async def test_a_real_conflict_is_shown_side_by_side(desk: DeskInProcess) -> None:
    boss = await desk.login("boss")
    await both_write(desk)
    found = await shown(boss, protocol.MergeCustomers, master=ALI, other=WEB)
    assert found.disputed == {"name": {"master": "Ali", "other": "Web1"}}
    assert found.merged == []
    await shown(boss, protocol.MergeCustomers, master=ALI, other=WEB, prefer={"name": "other"})
    card = await shown(boss, protocol.GetCustomer, customer=WEB)
    assert (card.customer["id"], card.customer["name"], card.merged) == (ALI, "Web1", [WEB])
    assert await refused(boss, protocol.MergeCustomers, master=ALI, other=ALI) == "same_customer"
    back = await shown(boss, protocol.UnmergeCustomer, other=WEB)
    assert (back.customer["id"], back.customer["name"]) == (WEB, "Web1")
    assert (await shown(boss, protocol.GetCustomer, customer=ALI)).customer["name"] == "Ali"
    assert await refused(boss, protocol.UnmergeCustomer, other=WEB) == "not_merged"


async def test_two_edit_one_card(desk: DeskInProcess) -> None:
    boss, root = await desk.login("boss"), await desk.login("root")
    await both_write(desk)
    card = await shown(boss, protocol.GetCustomer, customer=ALI)
    version = card.customer["version"]
    await shown(boss, protocol.SetCustomer, customer=ALI, fields={"name": "Ali Valiev"})
    late = await shown(root, protocol.SetCustomer, customer=ALI, fields={"name": "Alisher"}, version=version)
    assert late.conflicts == {"name": {"yours": "Alisher", "now": "Ali Valiev"}}
    assert await refused(boss, protocol.SetCustomer, customer=ALI, fields={"$x": 1}) == "no_such_field"
    assert (
        await refused(boss, protocol.SetCustomer, customer=ALI, fields={"responsible": "nobody"})
        == "no_such_operator"
    )
    assert (
        await refused(boss, protocol.SetCustomer, customer="c\0", fields={"vip": True}) == "no_such_customer"
    )
    await shown(boss, protocol.SetCustomer, customer=ALI, fields={"vip": "yes"})
    await until(lambda: desk.gateway.picture.sessions["1"].vip)


async def test_cards_are_listed_and_found(desk: DeskInProcess) -> None:
    boss, anna = await desk.login("boss"), await desk.login("anna")
    await both_write(desk)
    await shown(boss, protocol.SetCustomer, customer=ALI, fields={"phones": NUMBER, "emails": "A@B.uz"})

    async def ids(client: Client, **fields: Any) -> list[str]:
        found = await client.ask(protocol.GetCustomers, **fields)
        assert isinstance(found, CustomerList), found
        return [card["id"] for card in found.items]

    assert set(await ids(boss)) == {ALI, WEB}
    assert await ids(anna) == [ALI]
    for query in ("90 123-45-67", "a@b.uz", "ALI", "аli", ALI):
        assert await ids(boss, query=query) == ([] if query == "аli" else [ALI]), query
    assert await ids(anna, query="web") == []
    first = await boss.ask(protocol.GetCustomers, limit=1)
    second = await boss.ask(protocol.GetCustomers, limit=1, after=first.next)
    assert {card["id"] for card in (*first.items, *second.items)} == {ALI, WEB}
    assert await refused(boss, protocol.GetCustomers, after="nonsense") == "bad_cursor"
