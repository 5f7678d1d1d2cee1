"""What is found is what a naive look at every document finds, in either store."""

from __future__ import annotations

import random
from typing import Any

import pytest

from crm.kernel.access import Actor
from crm.kernel.ports import Store, Write
from crm.kernel.tokens import rank, terms_of, tokens_of
from crm.search.finding import PLACES, Hits, find
from storage.sqlite import SqliteStore
from storage.words import query_words, words
from tests.crm.objects.office import ANNA, ROOT

FIRST = (
    "Anvar",
    "Анвар",
    "Oʻktam",
    "Ўктам",
    "Dilnoza",
    "Дмитрий",
    "Gʻayrat",
    "Шаҳноза",
    "Olga",
    "Muhammadali",
)
LAST = (
    "Karimov",
    "Каримова",
    "Yoʻldosheva",
    "Иванов",
    "Ziyoyev",
    "Muhammadjonov",
    "Ким",
    "Rahimov",
    "Xo'jayev",
)
SAID = (
    "salom",
    "салом",
    "narxi",
    "qancha",
    "канча",
    "yetkazib",
    "доставка",
    "o'zbek",
    "чой",
    "choy",
    "rahmat",
)
QUERIES = (
    "anvar", "Дилноза", "dilnzoa", "karimov", "каримова анвар", "ким", "ka", "oktam yo'ldosheva", "мухаммад", "4567",
    "90 12", "muhamadali", "ziyoev", "olga ivanov", "Хужаев", "xojayev", "salom", "чой narxi", "qan", "yetkazib rahm",
    "' OR 1=1", 'a" NEAR b*', "$regex", "x\0y", "\u202egnp", "-", "NOT", "text: AND", "%", "а" * 10_000,
)  # fmt: skip


def people(chance: random.Random, count: int) -> list[dict[str, Any]]:
    made = []
    for n in range(count):
        number = f"+99890{chance.randrange(10**7):07}"
        document = {
            "_id": f"k{n}",
            "name": f"{chance.choice(FIRST)} {chance.choice(LAST)}",
            "phones": [{"raw": number, "e164": number}],
            "line": chance.choice(("sales", "support")),
            "changed_at": n,
        }
        made.append({**document, "tokens": tokens_of(document)})
    return made


def messages(chance: random.Random, count: int) -> list[dict[str, Any]]:
    return [
        {
            "_id": f"1-{n}",
            "text": " ".join(chance.choices(SAID, k=4)),
            "line": chance.choice(("sales", "support")),
            "at": n,
            "source": str(n),
            "session": str(n % 7),
            "customer": f"c{n % 5}",
        }
        for n in range(count)
    ]


@pytest.fixture
async def filled(store: Store) -> tuple[Store, list[dict[str, Any]], list[dict[str, Any]]]:
    chance = random.Random(5)
    # A MongoDB without indexes of arrays, as that of the tests may be, reads everything for each query.
    count = 3_000 if isinstance(store, SqliteStore) else 250
    contacts, said = people(chance, count), messages(chance, count)
    await store.write([Write.insert("contacts", document) for document in contacts])
    await store.write([Write.insert("messages", document) for document in said])
    return store, contacts, said


def ids(found: Hits) -> list[str]:
    return [hit.document["_id"] for hit in found.hits]


async def test_as_found_by_looking_at_everything(
    filled: tuple[Store, list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    store, contacts, said = filled
    some = 0
    for query in QUERIES:
        for actor in (ROOT, ANNA):
            found = await find(store, actor, "contacts", query, limit=100)
            best = naive(actor, query, contacts)
            assert ids(found) == best[:100], query
            assert found.more == (len(best) > 100)
            spoken = await find(store, actor, "messages", query, limit=100)
            assert ids(spoken) == naive_messages(actor, query, said)[:100], query
            some += bool(best) + bool(spoken.hits)
    assert some > len(QUERIES)


async def test_in_one_session_as_everywhere(
    filled: tuple[Store, list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    store, _, said = filled
    for query in ("salom", "чой narxi", "qan", "yetkazib rahm", "nothing", ""):
        for whole in (True, False):
            for wanted in ({"session": "3"}, {"customer": "c2"}, {"session": "3", "customer": "c2"}):
                matching = [d for d in said if all(d[name] == value for name, value in wanted.items())]
                found = await store.search(query, filter=wanted, limit=30, whole=whole)
                assert [d["_id"] for d in found] == naive_words(query, whole, matching)[:30]


def naive_words(query: str, whole: bool, documents: list[dict[str, Any]]) -> list[str]:
    *before, last = query_words(query) or [""]
    said = [(d["_id"], words(d["text"])) for d in reversed(documents)]
    return [
        id
        for id, there in said
        if last
        and all(word in there for word in before)
        and any(word == last or (not whole and word.startswith(last)) for word in there)
    ]


def naive(actor: Actor, query: str, documents: list[dict[str, Any]]) -> list[str]:
    terms = terms_of(query)
    ranked = [
        (how, -d["changed_at"], d["_id"])
        for d in documents
        if actor.reaches("contact", "read", d) and (how := rank(terms, d)) is not None
    ]
    return [id for _, _, id in sorted(ranked)]


def naive_messages(actor: Actor, query: str, documents: list[dict[str, Any]]) -> list[str]:
    *before, last = query_words(query[:500]) or [""]
    ranked = []
    for document in documents:
        said = words(document["text"])
        if last and document["line"] in actor.lines and all(word in said for word in before):
            if last in said:
                ranked.append((0, -document["at"], document["_id"]))
            elif any(word.startswith(last) for word in said):
                ranked.append((1, -document["at"], document["_id"]))
    return [id for _, _, id in sorted(ranked)]


@pytest.mark.parametrize("place", PLACES)
async def test_what_may_not_be_read_is_not_found(store: Store, place: Any) -> None:
    theirs = {
        "_id": "x",
        "name": "Anvar",
        "text": "Anvar",
        "line": "support",
        "source": "1",
        "lines": ["support"],
    }
    await store.write([Write.insert(place, {**theirs, "tokens": tokens_of(theirs)})])
    assert (await find(store, ANNA, place, "anvar")).hits == []
    assert ids(await find(store, ROOT, place, "anvar")) == ["x"]


async def test_deleted_and_merged_are_not_found(store: Store) -> None:
    gone: tuple[dict[str, Any], ...] = ({"deleted": {"at": 1}}, {"merged_into": "c2"})
    for n, way in enumerate(gone):
        person = {"_id": f"c{n}", "name": "Anvar", **way}
        await store.write([Write.insert("customers", {**person, "tokens": tokens_of(person)})])
    assert (await find(store, ROOT, "customers", "anvar")).hits == []


async def test_a_message_is_shown_around_what_was_found(store: Store) -> None:
    text = "uzun gap " * 100 + "Gʻisht kerak " + "tugadi " * 100
    await store.write(
        [Write.insert("messages", {"_id": "1", "text": text, "line": "sales", "at": 1, "source": "1"})]
    )
    (hit,) = (await find(store, ANNA, "messages", "ғишт")).hits
    (match,) = hit.matches
    assert [match.text[a:b] for a, b in match.spans] == ["Gʻisht"]
    assert len(match.text) <= 240
