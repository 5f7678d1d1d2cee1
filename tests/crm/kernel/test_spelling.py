"""Words are the same however a keyboard spells them."""

from __future__ import annotations

import pytest

from crm.kernel.spelling import APOSTROPHES, fold, sound

ASKED_FOR = "ʻʼ‘’'`´ʽ‛＇Ꞌꞌ"


@pytest.mark.parametrize("sign", sorted({*ASKED_FOR, *APOSTROPHES}))
def test_all_apostrophes_are_one(sign: str) -> None:
    assert fold(f"O{sign}zbekiston g{sign.join('aa')}lati") == "ozbekiston gaalati"
    assert sound(f"O{sign}zbekiston") == sound("Ўзбекистон")


@pytest.mark.parametrize(
    ("text", "folded"), [("ЁЛКА", "елка"), ("Café", "cafe"), ("Straße", "strasse"), ("日本", "日本")]
)
def test_case_and_accents_do_not_matter(text: str, folded: str) -> None:
    assert fold(text) == folded


@pytest.mark.parametrize(
    "spellings",
    [
        "Ўктам Oʻktam O'ktam", "Шаҳноза Shahnoza Шахноза Shaxnoza", "Дмитрий Dmitriy Dmitry Dmitrii",
        "Елена Yelena Elena", "ёлка елка yolka", "Ғайрат Gʻayrat", "қишлоқ qishloq", "цирк sirk tsirk",
        "Юлия Yuliya Yulia", "Ёмғир yomgʻir", "йўқ yoʻq", "Жасур Jasur Джасур", "маъно maʼno",
        "Щербаков Shcherbakov", "Ҳамид Хамид Hamid Xamid Khamid", "Исҳоқ Is’hoq", "Мирзиёев Mirziyoyev",
        "ТОШКЕНТ Toshkent", "Наталья Natalya Natalia", "чой choy", "объект obyekt",
        "концерт konsert", "Café CAFE", "Й\u0438 И\u0306и",
    ],
)  # fmt: skip
def test_cyrillic_and_latin_are_one(spellings: str) -> None:
    assert len({sound(word) for word in spellings.split()}) == 1


@pytest.mark.parametrize(
    ("one", "other"), [("ота", "она"), ("қор", "кор"), ("shon", "son"), ("Олег", "Олег2"), ("bir", "pir")]
)
def test_other_words_stay_others(one: str, other: str) -> None:
    assert sound(one) != sound(other)
