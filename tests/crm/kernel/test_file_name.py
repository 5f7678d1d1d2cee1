"""Names of files as they arrive: what is left can be the name of a file on every system."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.kernel.text import FILE_NAME_LIMIT, file_name
from tests.data.hostile import HOSTILE

CASES = [
    ("narxlar.pdf", "narxlar.pdf"),
    ("прайс лист 2026.xlsx", "прайс лист 2026.xlsx"),
    ("../../etc/passwd", "passwd"),
    ("..\\..\\boot.ini", "boot.ini"),
    ("C:\\Users\\anna\\a.txt", "a.txt"),
    ("/", "file"),
    ("", "file"),
    ("   ", "file"),
    ("...", "file"),
    (".bashrc", "bashrc"),
    (" . .ssh", "ssh"),
    ("-rf", "rf"),
    ("~/.profile", "profile"),
    ("photo\u202egpj.exe", "photogpj.exe"),
    ("a\x00b\x1b[31mc\r\nd.txt", "abc d.txt"),
    ("a\u200d\u200b\ufeffb.txt", "ab.txt"),
    ("CON", "_CON"),
    ("nul.txt", "_nul.txt"),
    ("COM1.tar.gz", "_COM1.tar.gz"),
    ("lpt\u00b9", "_lpt\u00b9"),
    ("con .txt", "_con.txt"),
    ("console.txt", "console.txt"),
    ("a.txt. . .", "a.txt"),
    ('a<b>c:d"e|f?g*.txt', "a_b_c_d_e_f_g_.txt"),
    ("\ud800x.txt", "x.txt"),
]


@pytest.mark.parametrize(("given", "kept"), CASES)
def test_a_name_becomes_one_that_any_system_takes(given: str, kept: str) -> None:
    assert file_name(given) == kept


def test_a_long_name_keeps_its_ending() -> None:
    for letter in ("a", "ж", "漢", "😀"):
        name = file_name(letter * 5000 + ".tar.gz")
        assert name.startswith(letter * 40)
        assert name.endswith(".gz")
        assert len(name.encode()) <= FILE_NAME_LIMIT


@given(st.one_of(st.text(max_size=400), st.sampled_from(sorted(HOSTILE.values()))))
def test_whatever_comes(text: str) -> None:
    name = file_name(text)
    assert name
    assert 0 < len(name.encode()) <= FILE_NAME_LIMIT
    assert not set(name) & set('/\\<>:"|?*\x00')
    assert name[0] not in ".-~ "
    assert name[-1] not in ". "
    assert name.isprintable()
    assert file_name(name) == name
