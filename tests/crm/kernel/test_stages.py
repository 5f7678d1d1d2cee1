"""Stages: where an object begins, where it may go, and what is kept of each step."""

from __future__ import annotations

from typing import Any

import pytest

from crm.kernel import stages
from crm.kernel.crm_settings import CrmSettings, Funnel, FunnelStage
from crm.kernel.errors import Refused
from storage.updates import updated

WON, LOST = FunnelStage(key="won", semantics="won"), FunnelStage(key="lost", semantics="lost")
SETTINGS = CrmSettings(
    funnels={
        "sales": Funnel(stages=[FunnelStage(key="new"), FunnelStage(key="offer"), WON, LOST]),
        "repair": Funnel(
            stages=[FunnelStage(key="in"), WON, LOST, FunnelStage(key="scrapped", semantics="lost")],
            lost_reasons=["too dear", "no parts"],
        ),
    }
)


def deal(**fields: Any) -> dict[str, Any]:
    return {"_id": "d1", **stages.begun(SETTINGS, "deal", at=1, by="anna", **fields)}


def after(document: dict[str, Any], key: str, at: int = 9, **how: Any) -> dict[str, Any]:
    return updated(document, stages.moved(SETTINGS, "deal", document, key=key, at=at, by="bek", **how))


def refusal(document: dict[str, Any], key: str, **how: Any) -> tuple[str, dict[str, str]]:
    with pytest.raises(Refused) as caught:
        stages.moved(SETTINGS, how.pop("type", "deal"), document, key=key, at=9, by="bek", **how)
    return caught.value.code, caught.value.params


def test_it_begins_in_the_first_stage_of_the_first_funnel() -> None:
    made = deal()
    assert (made["funnel"], made["stage"], made["semantics"]) == ("sales", "new", "work")
    assert made["stages"] == [
        {"stage": "new", "at": 1, "by": "anna", "kind": 1, "funnel": "sales", "semantics": "work"}
    ]
    assert deal(funnel="repair")["stage"] == "in"
    with pytest.raises(Refused, match="no_such_funnel"):
        deal(funnel="sails")
    with pytest.raises(Refused, match="no_such_stage"):
        deal(key="$odd.key")


def test_each_step_is_kept_with_its_kind() -> None:
    one = after(after(after(deal(), "offer", 2), "won", 3), "offer", 4)
    assert [(entry["stage"], entry["at"], entry["by"], entry["kind"]) for entry in one["stages"]] == [
        ("new", 1, "anna", 1), ("offer", 2, "bek", 2), ("won", 3, "bek", 3), ("offer", 4, "bek", 2),
    ]  # fmt: skip


def test_a_closed_deal_is_opened_again() -> None:
    lost = after(deal(), "lost", reason="no money")
    assert (lost["semantics"], lost["closed_at"], lost["lost_reason"]) == ("lost", 9, "no money")
    again = after(lost, "offer", 12)
    assert (again["semantics"], again["closed_at"], again["lost_reason"]) == ("work", 0, "")
    assert again["stages"][1]["reason"] == "no money"


def test_losing_needs_a_reason_and_where_reasons_are_given_one_of_them() -> None:
    assert refusal(deal(), "lost") == ("reason_needed", {"stage": "lost"})
    assert refusal(deal(), "lost", reason=" \x1b[2J ")[0] == "reason_needed"
    repair = deal(funnel="repair")
    assert refusal(repair, "lost")[0] == "which_reason"
    assert refusal(repair, "scrapped", reason="bored") == (
        "no_such_reason",
        {"reason": "bored", "reasons": "too dear, no parts"},
    )
    assert after(repair, "scrapped", reason="no parts")["lost_reason"] == "no parts"
    assert after(repair, "won", reason="ignored")["lost_reason"] == ""


def test_into_another_funnel() -> None:
    one = after(deal(), "in", funnel="repair")
    assert (one["funnel"], one["stage"], one["stages"][-1]["kind"]) == ("repair", "in", 5)
    # A stage of the same name in another funnel is another stage.
    two = after(after(deal(), "won"), "won", funnel="repair")
    assert (two["semantics"], two["stages"][-1]["kind"]) == ("won", 5)
    assert refusal(deal(), "in") == ("no_such_stage", {"stage": "in", "stages": "new, offer, won, lost"})


def test_the_same_stage_is_no_move() -> None:
    assert refusal(deal(), "new") == ("same_stage", {"stage": "new"})


def test_a_stage_that_is_gone_is_left_and_never_entered() -> None:
    standing = {**deal(), "stage": "haggling"}
    assert stages.stage(SETTINGS, "deal", "sales", "haggling") is None
    assert refusal(standing, "haggling")[0] == "no_such_stage"
    assert after(standing, "offer")["stage"] == "offer"


def test_a_funnel_that_is_gone_is_left_for_one_that_is_named() -> None:
    standing = {**deal(), "funnel": "rent"}
    assert refusal(standing, "offer") == ("funnel_gone", {"funnel": "rent", "funnels": "sales, repair"})
    there = after(standing, "offer", funnel="sales")
    assert (there["funnel"], there["stages"][-1]["kind"]) == ("sales", 5)


def test_a_lead_is_won_by_conversion_alone_and_then_stays() -> None:
    lead = {"_id": "l1", **stages.begun(SETTINGS, "lead", at=1, by="")}
    assert (lead["funnel"], lead["stage"]) == ("leads", "new")
    assert refusal(lead, "converted", type="lead")[0] == "lead_converts"
    update = stages.moved(SETTINGS, "lead", lead, key="converted", at=2, by="anna", converting=True)
    done = updated(lead, update) | {"converted": {"at": 2}}
    assert done["semantics"] == "won"
    assert refusal(done, "in_work", type="lead") == ("lead_converted", {"id": "l1"})
    with pytest.raises(Refused, match="lead_converts"):
        stages.begun(SETTINGS, "lead", at=1, by="", key="converted")


def test_nobody_fills_a_document_with_moves() -> None:
    one = {**deal(), "stages": [{}] * stages.HISTORY_MAX}
    assert refusal(one, "offer")[0] == "moved_too_often"
