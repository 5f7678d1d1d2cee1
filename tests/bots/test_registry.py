"""Kinds of channels: ours, others', and wrong ones."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from bots import registry
from bots.loopback import Loopback, LoopbackSettings
from crm.kernel.errors import ConfigError


def test_our_own_kinds() -> None:
    assert {"loopback", "telegram"} <= set(registry.kinds())
    assert registry.channel_type("loopback") is Loopback
    assert registry.settings_type("loopback") is LoopbackSettings


def test_an_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no channel kind 'skype'") as caught:
        registry.channel_type("skype")
    assert "loopback" in caught.value.hint
    assert "telegram" in caught.value.hint


def test_only_the_kind_asked_for_is_imported() -> None:
    code = (
        "import sys; from bots import registry; registry.kinds(); registry.channel_type('loopback');"
        "print([m for m in ('aiogram', 'bots.telegram.channel') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_settings_of_telegram_do_not_cost_its_sdk() -> None:
    code = (
        "import sys; from bots import registry; registry.settings_type('telegram');"
        "print('aiogram' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "bots.telegram.channel", raising=False)
    monkeypatch.setitem(sys.modules, "aiogram", None)
    with pytest.raises(ConfigError, match="needs the package 'aiogram'") as caught:
        registry.channel_type("telegram")
    assert caught.value.hint == "pip install navbat[telegram]"


def test_third_parties_add_kinds_but_take_over_none(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [
        EntryPoint("pigeon", "bots.loopback:Loopback", registry.GROUP),
        EntryPoint("telegram", "bots.loopback:Loopback", registry.GROUP),
        EntryPoint("wrong", "bots.loopback:Item", registry.GROUP),
        EntryPoint("gone", "bots.loopback:Nothing", registry.GROUP),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: others)
    assert registry.channel_type("pigeon") is Loopback
    assert registry.channel_type("telegram").kind == "telegram"
    with pytest.raises(ConfigError, match="is not a Channel"):
        registry.channel_type("wrong")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        registry.channel_type("gone")
