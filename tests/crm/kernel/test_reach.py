"""Numbers and addresses as people write them."""

import pytest

from crm.kernel import reach


@pytest.mark.parametrize(
    ("region", "written", "e164"),
    [
        ("RU", "8 (495) 123-45-67", "+74951234567"),
        ("RU", "74951234567", "+74951234567"),
        ("RU", "9161234567", "+79161234567"),
        ("RU", " (495) 123-4-567", "+74951234567"),
        ("RU", "810998901234567", "+998901234567"),
        ("RU", "00998901234567", "+998901234567"),
        ("RU", "998901234567", "+998901234567"),
        ("UZ", "90 123 45 67", "+998901234567"),
        ("UZ", "998 90 123-45-67", "+998901234567"),
        ("UZ", "74951234567", "+74951234567"),
        ("UZ", "+7 (495) 123-45-67", "+74951234567"),
    ],
)
def test_a_number_has_one_form_however_it_is_written(region: str, written: str, e164: str) -> None:
    found = reach.phone(written, region)
    assert found is not None
    assert found["e164"] == e164
    assert found["raw"] == written.strip()


@pytest.mark.parametrize("end", ["доб. 12", ", доб. 12", "ext 12", "x12", "доб 12"])
def test_an_extension_is_no_part_of_the_number(end: str) -> None:
    (found,) = reach.phones(f"+7 495 123-45-67 {end}", "UZ")
    assert (found["e164"], found["ext"]) == ("+74951234567", "12")


@pytest.mark.parametrize("written", ["123-45-67", "102", "1234", "0000000", "99999999999999999999"])
def test_a_short_number_is_kept_as_it_is_and_has_no_other_form(written: str) -> None:
    assert reach.phones(written, "RU") == [{"raw": written}]


def test_a_field_may_hold_several() -> None:
    found = reach.phones("+7 495 123-45-67 (секретарь), 916 123-45-67; 102", "RU")
    assert [one.get("e164") for one in found] == ["+74951234567", "+79161234567", None]
    with pytest.raises(ValueError, match="нет"):
        reach.phones("+7 495 123-45-67, нет", "RU")


def test_numbers_in_a_text() -> None:
    text = "Позвоните на 90 123-45-67 или +7 916 123-45-67 доб. 3, ещё раз: +998901234567"
    found = reach.phones_in(text, "UZ")
    assert [one["e164"] for one in found] == ["+998901234567", "+79161234567"]
    assert found[1]["ext"] == "3"


@pytest.mark.parametrize(
    "text",
    [
        "сумма 120 000 000 сум",
        "12.05.2026 10:30",
        "ИНН 301234567",
        "счёт 20208000900123456001",
        "1234567",
        "",
        "1" * 9000,
    ],
)
def test_what_is_no_number_in_a_text(text: str) -> None:
    assert reach.phones_in(text, "UZ") == []


def test_addresses_in_a_text() -> None:
    text = "пишите: A.B+c@Example.COM, или ivan@пример.рф. x@y (me@shop.uz)"
    assert reach.emails_in(text) == ["a.b+c@example.com", "ivan@xn--e1afmkfd.xn--p1ai", "me@shop.uz"]


def test_an_address_keeps_its_dots_and_plus_signs() -> None:
    assert reach.email(" A.B+c@Example.COM ") == "a.b+c@example.com"
    # One letter in two ways of writing it.
    assert reach.email("andre\u0301@a.uz") == reach.email("andr\u00e9@a.uz")
    for text in ("a b@c.d", "@c.d", "a@", "a@b", "a@b..c", "a" * 300 + "@b.uz", "a@b.uz\u202e"):
        assert reach.email(text) == ""
