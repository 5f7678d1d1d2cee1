"""Desks for black-box tests."""

from tests.navbat.conftest import desk, folder, make_desk

__all__ = ["desk", "folder", "make_desk"]
