"""`navbat crm move`, `funnels` and `convert` at a running desk, wrong use included."""

from __future__ import annotations

import json

from tests.navbat.process import CONFIG
from tests.navbat.run.test_health import MakeDesk

FUNNELS = """
crm:
  funnels:
    sales:
      lost_reasons: [too dear]
      stages:
        - {key: new, name: {en: New, uz: Yangi}}
        - {key: won, semantics: won}
        - {key: lost, semantics: lost}
"""


def test_a_lead_becomes_a_deal_that_is_lost(make_desk: MakeDesk) -> None:
    desk = make_desk(CONFIG + FUNNELS)
    desk.start()
    anna = desk.add("anna")
    lead = anna.command("crm", "add", "lead", "title=Chairs", "name=Oʻktam Karimov").stdout.strip()
    twin = anna.command("crm", "add", "contact", "name=O'ktam Karimov").stdout.strip()

    anna.command("crm", "move", "lead", lead, "in_work")
    told = anna.command("crm", "convert", lead, "--json", status=1)
    assert (json.loads(told.stdout)["code"], twin in told.stderr) == ("twins_found", True)
    for words in (("--funnel", "sails"), ("--contact", "k1")):
        anna.command("crm", "convert", lead, *words, status=2 if words[0] == "--funnel" else 1)
    made = anna.command("crm", "convert", lead, "--contact", twin).stdout.split()
    assert made[:3] == ["contact", twin, "deal"]
    deal = made[3]
    anna.command("crm", "convert", lead, status=1)
    assert anna.json("crm", "show", "lead", lead)["converted"]["deal"] == deal

    assert "too dear" in anna.command("crm", "move", "deal", deal, "lost", status=1).stderr
    anna.command("crm", "move", "deal", deal, "lost", "--reason", "bored", status=2)
    anna.command("crm", "move", "deal", deal, "nowhere", status=2)
    anna.command("crm", "move", "contact", twin, "new", status=2)
    moved = anna.json("crm", "move", "deal", deal, "lost", "--reason", "too dear")
    assert (moved["object"]["semantics"], moved["object"]["lost_reason"]) == ("lost", "too dear")

    leads, deals = anna.json("crm", "funnels")
    assert [(s["key"], s["objects"]) for s in leads["stages"] if s["objects"]] == [("converted", 1)]
    assert (deals["key"], [s["objects"] for s in deals["stages"]]) == ("sales", [0, 0, 1])
    assert deals["lost_reasons"] == ["too dear"]
    assert "lost because: too dear" in anna.command("crm", "funnels").stdout
