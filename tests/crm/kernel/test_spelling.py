"""Words are the same however a keyboard spells them."""

from __future__ import annotations

import pytest

from crm.kernel.spelling import APOSTROPHES, fold, fold_before, folds_anew

ASKED_FOR = "ʻʼ‘’'`´ʽ‛＇Ꞌꞌ"


@pytest.mark.parametrize("sign", sorted({*ASKED_FOR, *APOSTROPHES}))
def test_all_apostrophes_are_one(sign: str) -> None:
    assert fold(f"O{sign}zbekiston g{sign.join('aa')}lati") == "ozbekiston gaalati"
    text = f"o{sign}z"
    assert fold_before(text) == fold(text) or folds_anew(text)


@pytest.mark.parametrize(
    ("text", "folded"), [("ЁЛКА", "елка"), ("Café", "cafe"), ("Straße", "strasse"), ("日本", "日本")]
)
def test_case_and_accents_do_not_matter(text: str, folded: str) -> None:
    assert fold(text) == folded
