"""A small office for tests of objects: who works there, and what its desk knows."""

from __future__ import annotations

from crm.kernel.access import Actor, Grants
from crm.kernel.crm_settings import CrmSettings
from crm.kernel.fields import CustomField
from crm.kernel.ports import Store
from crm.objects.checking import Checks
from crm.objects.service import Objects
from crm.objects.types import Types
from crm.objects.values import Habits

OPERATORS = ("anna", "bek", "nodira", "root")
LINES = ("sales", "support")
AT = 1_772_000_000_000

ANNA = Actor("anna", "operator", frozenset({"sales"}))
BEK = Actor("bek", "operator", frozenset({"support"}))
NODIRA = Actor("nodira", "supervisor", frozenset(LINES), everywhere=True)
ROOT = Actor("root", "admin", frozenset(LINES), everywhere=True)


def granted(grants: Grants) -> Actor:
    """Anna with other rights."""
    return Actor("anna", "operator", frozenset({"sales"}), grants)


class Staff:
    """Who and what there is."""

    async def operator(self, name: str) -> bool:
        return name in OPERATORS

    def line(self, name: str) -> bool:
        return name in LINES


COLORS = {
    "deal": {"color": CustomField(kind="choice", choices=("red", "blue")), "area": CustomField(kind="number")}
}


def objects(store: Store) -> Objects:
    return Objects(store, Checks(store, Types(COLORS), Habits(), CrmSettings(), Staff()))
