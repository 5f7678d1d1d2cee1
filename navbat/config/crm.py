"""What ``config.yaml`` may say of the CRM, and how it becomes what gateway and projector use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crm.kernel import crm_settings
from crm.kernel.crm_settings import CrmSettings
from crm.objects.types import check_custom
from navbat.config import declared
from navbat.config.declared import Problem, file_form

FunnelForm = file_form(crm_settings.Funnel)
StageForm = file_form(crm_settings.FunnelStage)
LeadForm = file_form(crm_settings.LeadRules)
RetentionForm = file_form(crm_settings.Retention)
_Crm: Any = file_form(CrmSettings)

FUNNELS_MAX = 50


class Crm(_Crm):  # type: ignore[misc]
    """The section ``crm:``."""

    def rules(self) -> CrmSettings:
        """The same as the desk uses it."""
        return declared.into_rules(self, CrmSettings)


def crm_problems(crm: Crm) -> Iterator[Problem]:
    """What is wrong with the section by itself, each with its key."""
    yield from declared.problems(crm, CrmSettings)
    for path, problem in declared.problems(crm.leads, crm_settings.LeadRules):
        yield ("leads", *path), problem
    for path, problem in check_custom(crm.fields):
        yield ("fields", *path), problem
    if crm.funnels is None:
        return
    if not 0 < len(crm.funnels) <= FUNNELS_MAX:
        yield ("funnels",), f"1 to {FUNNELS_MAX} funnels, or leave the key out"
    for name, funnel in crm.funnels.items():
        for _, problem in declared.key_problems(name):
            yield ("funnels", name), problem
        if not funnel.stages:
            yield ("funnels", name), "stages is missing: a funnel has at least a first, a won and a lost one"
            continue
        for path, problem in declared.problems(funnel, crm_settings.Funnel):
            yield ("funnels", name, *path), problem
