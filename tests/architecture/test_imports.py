"""Who may know whom: run, not read. Each is imported in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

FORBIDDEN = {
    "console.app": "bots trackers vision storage redis motor pymongo aiogram sqlite3 argon2 router.log.log router.gateway.gateway",
    "console.link": "textual redis bots",
    "router.desk.desk": "asyncio aiohttp redis motor sqlite3 textual bots console storage router.log.log",
    "router.gateway.gateway": "textual console bots storage motor aiogram",
    "router.worker": "textual console bots storage aiohttp motor",
    "router.intake.receiver": "textual console bots motor aiogram sqlite3",
    "crm.kernel.records": "asyncio router storage redis motor",
    "bots.registry": "aiogram vk_api botbuilder textual console",
    "navbat.run.child": "aiohttp.web_app aiogram textual console motor",
}


def imported(module: str) -> set[str]:
    code = f"import sys, {module}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("module", FORBIDDEN)
def test_what_is_not_imported(module: str) -> None:
    assert imported(module) & set(FORBIDDEN[module].split()) == set()


def test_only_the_channels_in_use_are_imported() -> None:
    code = "import sys; from bots import registry; registry.settings_type('loopback'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "bots.loopback" in done.stdout.split()
    assert "bots.telegram.channel" not in done.stdout.split()


def test_the_import_contracts_hold_and_can_fail(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout
