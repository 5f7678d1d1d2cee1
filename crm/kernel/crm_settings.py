"""The settings of the CRM, each declared once: the section ``crm:`` of the file is made of them
(``navbat.config.declared``), and gateway and projector use them as they are. Without the section the
defaults below hold, and the desk works."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from crm.kernel.fields import CustomFields
from crm.kernel.settings import Setting

Names = dict[str, str]
"""Language ("" = any) -> a name for people."""
Semantics = Literal["work", "won", "lost"]
Repeat = Literal["never", "open_only", "always"]


class FunnelStage(msgspec.Struct, omit_defaults=True, kw_only=True, frozen=True):
    """One step of a funnel. ``key`` is what is stored, and what people write at the command line."""

    key: Annotated[
        str, Setting("what is stored and written: small letters, digits, `_` and `-`", "key", required=True)
    ] = ""
    name: Annotated[Names, Setting("what people read, one for all or by language", "text")] = {}
    semantics: Annotated[
        Semantics,
        Setting("`work`: in hand; `won`, `lost`: the end. One stage of a funnel is won, at least one lost"),
    ] = "work"


class Funnel(msgspec.Struct, omit_defaults=True, kw_only=True, frozen=True):
    """The stages of deals of one sort, in order."""

    name: Annotated[Names, Setting("what people read, one for all or by language", "text")] = {}
    stages: Annotated[list[FunnelStage], Setting("in order; a new deal is in the first one", "stages")] = []
    lost_reasons: Annotated[
        list[str],
        Setting("one of these is asked for when a deal is lost; none: any words will do", "sentences"),
    ] = []


def _stage(key: str, en: str, ru: str, uz: str, semantics: Semantics = "work") -> FunnelStage:
    return FunnelStage(key=key, name={"en": en, "ru": ru, "uz": uz}, semantics=semantics)


LEAD_STAGES = (
    _stage("new", "New", "Новый", "Yangi"),
    _stage("in_work", "In work", "В работе", "Ishda"),
    _stage("converted", "Converted", "Сконвертирован", "Mijozga aylandi", "won"),
    _stage("junk", "Junk", "Некачественный", "Sifatsiz", "lost"),
)
DEAL_STAGES = (
    _stage("new", "New", "Новая", "Yangi"),
    _stage("agreed", "Terms agreed", "Условия согласованы", "Shartlar kelishildi"),
    _stage("invoiced", "Invoice sent", "Счёт выставлен", "Hisob yuborildi"),
    _stage("won", "Won", "Успешна", "Muvaffaqiyatli", "won"),
    _stage("lost", "Lost", "Провалена", "Muvaffaqiyatsiz", "lost"),
)
_SALES = Funnel(name={"en": "Sales", "ru": "Продажи", "uz": "Savdo"}, stages=[*DEAL_STAGES])


class LeadRules(msgspec.Struct, omit_defaults=True, kw_only=True, frozen=True):
    """When a message makes a lead, and the stages that a lead goes through."""

    repeat: Annotated[
        Repeat,
        Setting(
            "a customer who is known writes again: no lead ever (`never`), one when none of his leads and "
            "deals is open any more (`open_only`), one for each session (`always`)"
        ),
    ] = "open_only"
    stages: Annotated[
        list[FunnelStage],
        Setting("in order; a new lead is in the first one, a converted one in the won", "stages"),
    ] = msgspec.field(default_factory=lambda: [*LEAD_STAGES])
    lost_reasons: Annotated[
        list[str],
        Setting("one of these is asked for when a lead is lost; none: any words will do", "sentences"),
    ] = []


class Retention(msgspec.Struct, omit_defaults=True, kw_only=True, frozen=True):
    """How long data is kept, ms by kind, 0 = for ever. What is older goes in the night."""

    messages: Annotated[
        int, Setting("messages of closed sessions, with their files and versions", "period_or_off")
    ] = 0
    leads: Annotated[int, Setting("leads that were lost, from then on", "period_or_off")] = 0
    audit: Annotated[int, Setting("who did what", "period_or_off")] = 0
    decisions: Annotated[
        int, Setting("why sessions went where they went, and what supervisors were told", "period_or_off")
    ] = 0
    strays: Annotated[int, Setting("what named nothing that the desk knew", "period_or_off")] = 0


class CrmSettings(msgspec.Struct, omit_defaults=True, kw_only=True, frozen=True):
    """All of the section."""

    country: Annotated[
        str, Setting("two letters of ISO 3166: whose phone numbers are written without a country", "region")
    ] = "UZ"
    currency: Annotated[
        str, Setting("three letters of ISO 4217: that of amounts that name none", "currency")
    ] = "UZS"
    leads: Annotated[LeadRules, Setting("leads")] = LeadRules()
    funnels: Annotated[
        dict[str, Funnel],
        Setting("the funnels of deals by name; the first is that of a deal that names none"),
    ] = msgspec.field(default_factory=lambda: {"sales": _SALES})
    fields: Annotated[
        CustomFields, Setting("fields of your own: type of object -> name -> what it holds")
    ] = msgspec.field(default_factory=dict)
    retention: Annotated[Retention, Setting("how long data is kept, by kind")] = Retention()
