"""Files as other programs write them, and as nobody should."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from crm.kernel.errors import WrongUse
from crm.objects.types import FIELDS
from crm.transfer import exporting, mapping, vcards
from crm.transfer.tables import read_table
from navbat.cli.transfer import labels_of

CONTACT = FIELDS["contact"]
TEXT = "Имя;Телефон\nЎктам Каримов;+998901234567\n"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", TEXT), ("utf-8-sig", TEXT), ("utf-16", TEXT), ("utf-16-le", "name;phone\nOktam;+998901234567\n"),
        ("utf-16-be", "name;phone\nOktam;+998901234567\n"), ("cp1251", TEXT),
    ],
)  # fmt: skip
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_encodings_and_separators_are_recognised(
    tmp_path: Path, encoding: str, text: str, separator: str
) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(text.replace(";", separator).encode(encoding))
    table = read_table(path)
    (row,) = list(table.rows)
    assert [table.header, [*row.cells]] == [line.split(";") for line in text.splitlines()]
    assert (row.line, table.separator) == (2, separator)


def test_a_row_of_several_lines_and_one_that_is_never_closed(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text('name,about\n"An\nvar","a ""quote"""\nBek,x\n"' + "y" * 2_500_000 + "\nOlga,z\n")
    rows = list(read_table(path).rows)
    assert [(row.line, row.cells, row.problem) for row in rows[:2]] == [
        (2, ["An\nvar", 'a "quote"'], ""),
        (4, ["Bek", "x"], ""),
    ]
    assert (rows[2].line, rows[2].problem) == (5, "bad_row")


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf", b",,,\n1,2,3\n", b"a," * 600])
def test_what_is_no_table(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    with pytest.raises(WrongUse):
        read_table(path)


def test_any_bytes_end(tmp_path: Path) -> None:
    chance = random.Random(1)
    path = tmp_path / "file.csv"
    for _ in range(200):
        path.write_bytes(
            bytes(chance.choices(b'\x00\xff"",,;;\r\n\tab\xd0\x98\xfe', k=chance.randint(0, 400)))
        )
        try:
            rows = list(read_table(path).rows)
        except WrongUse:
            continue
        assert len(rows) < 400


def test_a_large_file_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    with path.open("w") as file:
        file.write("name,phone\n" + "".join(f"Anvar {n},+99890{n:07}\n" for n in range(50_000)))
    tracemalloc.start()
    assert sum(1 for _ in read_table(path).rows) == 50_000
    (_, peak) = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def guessed(*header: str, of: Any = CONTACT) -> dict[str, str]:
    found = mapping.guess(header, of, labels_of(of))
    return {header[n]: field.name for n, field in found.columns.items()}


def test_columns_are_known_by_their_titles() -> None:
    assert guessed("name", "Phones", "E-mail", "Должность", "nonsense") == {
        "name": "name", "Phones": "phones", "E-mail": "emails", "Должность": "post"
    }  # fmt: skip
    assert guessed("ФИО", "Телефон", "Мобильный телефон", "Дата рождения", "Теги") == {
        "ФИО": "name", "Телефон": "phones", "Мобильный телефон": "phones", "Дата рождения": "birthday",
        "Теги": "tags",
    }  # fmt: skip
    assert guessed("Familiya", "ISM", "telefon raqami", "Tugʻilgan kun", "lavozim") == {
        "Familiya": "last_name", "ISM": "first_name", "telefon raqami": "phones", "Tugʻilgan kun": "birthday",
        "lavozim": "post",
    }  # fmt: skip
    assert guessed("Имя", "Фамилия") == {"Имя": "first_name", "Фамилия": "last_name"}
    assert guessed("Имя", "Телефон") == {"Имя": "name", "Телефон": "phones"}
    assert guessed("version", "created_at", "$set", "a.b") == {}


def test_a_map_says_which_column_is_which() -> None:
    found = mapping.told(["A", "B", "C"], CONTACT, {"a": "name", "B": "phones", "C": None})
    assert mapping.values(["Anvar", "'+998901234567", "x"], found.columns) == {
        "name": "Anvar", "phones": "+998901234567"
    }  # fmt: skip
    for wrong in ({"D": "name"}, {"A": "no_such"}, {"A": "version"}, {"A": "name", "B": "name"}):
        with pytest.raises(WrongUse):
            mapping.told(["A", "B", "C"], CONTACT, wrong)


def test_a_name_is_put_together_of_its_parts() -> None:
    columns = mapping.guess(["first_name", "last_name"], CONTACT, {}).columns
    assert mapping.values(["Anvar", "Karimov"], columns)["name"] == "Karimov Anvar"


CARD = {
    "id": "k1", "name": "Karimov; Anvar, 1\\2", "last_name": "Karimov", "first_name": "Anvar",
    "phones": [{"raw": "x", "e164": "+998901234567"}, {"raw": "112"}], "emails": ["a@b.uz"], "post": "Direktor",
    "birthday": "1990-02-03", "about": "uzun\nizoh " + "ў" * 200, "tags": ["a", "b"], "address": "Toshkent, 1",
}  # fmt: skip


@pytest.mark.parametrize("version", ["3", "4"])
def test_a_card_comes_back_as_it_went(tmp_path: Path, version: Any) -> None:
    path = tmp_path / "cards.vcf"
    path.write_bytes((vcards.write_card(CARD, version) * 2).encode())
    assert all(len(line.rstrip(b"\r\n")) <= 75 for line in path.read_bytes().split(b"\n"))
    first, second = vcards.read_cards(path)
    assert first.values == second.values
    assert second.line > first.line == 1
    assert first.values == {
        "name": CARD["name"], "phones": "+998901234567; 112", "emails": "a@b.uz", "post": "Direktor",
        "birthday": "1990-02-03", "about": CARD["about"], "tags": "a, b", "address": "Toshkent, 1",
    }  # fmt: skip


def test_cards_of_other_programs_and_broken_ones(tmp_path: Path) -> None:
    path = tmp_path / "cards.vcf"
    path.write_text(
        "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Каримов;Анвар;;;\r\nTEL;TYPE=CELL:+998 90 123-45-67\r\n"
        "item1.EMAIL;TYPE=INTERNET:A@B.uz\r\nPHOTO;ENCODING=b;TYPE=JPEG:AAAA\r\nEND:VCARD\r\n"
        "nothing\r\nBEGIN:VCARD\r\nFN:x\r\nBEGIN:VCARD\r\nVERSION:4.0\r\nFN:Bek\r\nBDAY:19900203\r\n"
        "TEL;VALUE=uri:tel:+998901234568\r\nEND:VCARD\r\n"
        "BEGIN:VCARD\r\n:::\r\n;;;\r\nEND:VCARD\r\nBEGIN:VCARD\r\nVERSION:3.0\r\nEND:VCARD\r\n"
        "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:" + "x" * 1_200_000 + "\r\nEND:VCARD\r\nBEGIN:VCARD\r\nFN:never"
    )
    found = [(card.line, card.problem, card.values) for card in vcards.read_cards(path)]
    assert found[0] == (1, "", {"name": "Каримов Анвар", "phones": "+998 90 123-45-67", "emails": "A@B.uz"})
    assert found[1][:2] == (9, "bad_card")
    assert found[2] == (11, "", {"name": "Bek", "phones": "+998901234568", "birthday": "1990-02-03"})
    assert [problem for _, problem, _ in found[3:]] == ["bad_card", "empty_row", "card_too_long", "bad_card"]


def test_cells_are_taken_back_and_never_calculated() -> None:
    fields = {field.name: field for field in FIELDS["deal"]} | {field.name: field for field in CONTACT}
    item = {
        "amount": {"minor": 5, "currency": "UZS"}, "title": "=1+1", "created_at": 1_772_000_000_000,
        "phones": CARD["phones"], "tags": ["@a", "b"], "emails": ["a@b.uz"],
    }  # fmt: skip
    cells = {name: exporting.cell(fields[name], item) for name in (*item, "close_date")}
    assert cells == {
        "amount": "0.05:UZS", "title": "'=1+1", "created_at": "2026-02-25T06:13:20.000Z",
        "phones": "'+998901234567; 112", "tags": "'@a, b", "emails": "a@b.uz", "close_date": "",
    }  # fmt: skip
