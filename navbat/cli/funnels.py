"""``navbat crm move|funnels|convert``: through the stages of a running desk."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from crm.kernel.text import one_line
from navbat.cli import crm_shapes
from navbat.cli.client import DeskClient, saved_login
from navbat.cli.crm import ask
from navbat.cli.printing import print_json
from router.wire import protocol

DONE = 0
TARGETS = ("contact", "company", "deal")


async def move(args: argparse.Namespace) -> int:
    """``navbat crm move``."""
    async with DeskClient(saved_login()) as client:
        found = await ask(
            client, protocol.MoveObject, protocol.ObjectShown, type=args.type, id=args.id, stage=args.stage,
            funnel=args.funnel, reason=args.reason,
        )  # fmt: skip
    if args.json:
        shown = crm_shapes.shape(args.type, found.object)
        print_json({"outcome": "done", "id": shown["id"], "version": shown["version"], "object": shown})
    return DONE


async def funnels(args: argparse.Namespace) -> int:
    """``navbat crm funnels``."""
    async with DeskClient(saved_login()) as client:
        found = await ask(client, protocol.GetFunnels, protocol.FunnelList)
    if args.json:
        print_json([_shape(funnel) for funnel in found.funnels])
        return DONE
    for funnel in found.funnels:
        print(f"{funnel.type} {funnel.key or '(funnels that are gone)'} {_name(funnel.name)}".rstrip())
        for stage in funnel.stages:
            key = "(stages that are gone)" if stage.gone else stage.key
            print(f"  {key:<24} {stage.semantics:<5} {stage.objects:>7}  {_name(stage.name)}".rstrip())
        for reason in funnel.lost_reasons:
            print(f"  lost because: {one_line(reason, 200)}")
    return DONE


def _shape(funnel: protocol.FunnelView) -> dict[str, object]:
    """``key`` is null for what is gone from the configuration."""
    return {
        "type": funnel.type,
        "key": funnel.key or None,
        "name": funnel.name,
        "stages": [
            {
                "key": stage.key or None, "name": stage.name, "semantics": stage.semantics or None,
                "objects": stage.objects, "gone": stage.gone,
            }
            for stage in funnel.stages
        ],
        "lost_reasons": funnel.lost_reasons,
    }  # fmt: skip


def _name(names: Mapping[str, str]) -> str:
    return one_line(names.get("en") or names.get("") or next(iter(names.values()), ""), 60)


async def convert(args: argparse.Namespace) -> int:
    """``navbat crm convert``: all or nothing."""
    wanted = {target: getattr(args, target) for target in TARGETS}
    async with DeskClient(saved_login()) as client:
        found = await ask(
            client, protocol.ConvertLead, protocol.LeadConverted, lead=args.lead, funnel=args.funnel, **wanted
        )
    made = {target: getattr(found, target) or None for target in TARGETS}
    if args.json:
        lead = crm_shapes.shape("lead", found.lead)
        print_json({"outcome": "done", "lead": lead, **made})
        return DONE
    for target, id in made.items():
        if id:
            print(f"{target} {one_line(id, 80)}")
    return DONE
