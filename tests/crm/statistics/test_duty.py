"""How long operators were on duty."""

from __future__ import annotations

from pathlib import Path

from crm.kernel.ports import Write
from crm.statistics.duty import DutyTime, on_duty
from storage.sqlite import SqliteStore


async def test_what_began_before_and_what_goes_on_counts_as_far_as_it_lies_within(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite")
    await store.open()
    told = [
        ("anna", 10, "online"), ("anna", 120, "break"), ("anna", 150, "online"), ("anna", 170, "offline"),
        ("bek", 190, "online"), ("chi", 20, "online"), ("chi", 30, "offline"), ("dil", 110, "break"),
    ]  # fmt: skip
    writes = [
        Write.insert(
            "audit",
            {"_id": f"{name}{at}", "at": at, "operator": name, "action": "duty", "params": {"duty": duty}},
        )
        for name, at, duty in told
    ]
    await store.write(
        [*writes, Write.insert("audit", {"_id": "x", "at": 130, "operator": "anna", "action": "take"})]
    )
    found = await on_duty(store, ["anna", "bek", "chi", "eve"], DutyTime(100, 200, 195))
    assert found == {
        "anna": {"online": 20 + 20, "on_break": 30},
        "bek": {"online": 5, "on_break": 0},
        "chi": {"online": 0, "on_break": 0},
        "eve": {"online": 0, "on_break": 0},
    }
    await store.close()
