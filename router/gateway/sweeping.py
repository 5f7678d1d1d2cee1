"""What died half done, an edit of an object, a conversion or a merge, is finished by whichever gateway comes first."""

from __future__ import annotations

import asyncio
import logging

from crm.funnels.converting import resume
from crm.kernel.errors import NavbatError
from crm.kernel.ports import Store
from crm.objects.writing import sweep
from crm.people import merging
from crm.people.attesting import attest
from crm.people.cards import give_lines
from crm.people.merging import Tell
from router.log.log import now_ms

logger = logging.getLogger(__name__)

SWEEP_EVERY = 60.0
"""Seconds. It finds nothing but what a crash has left: a few queries of empty indexes."""


async def keep_swept(store: Store, tell: Tell) -> None:
    """At the start and then every minute. Ends by cancellation."""
    while True:
        try:
            await resume(store)
            await attest(store, tell)
            await merging.resume(store, tell, now_ms())
            await give_lines(store)
            if swept := await sweep(store):
                logger.info("audit records of %d objects were still to be copied", swept)
        except (NavbatError, TimeoutError) as error:
            logger.warning("what was cut off waits to be finished: %s", type(error).__name__)
        except Exception:  # the desk goes on without it
            logger.exception("what was cut off cannot be finished")
        await asyncio.sleep(SWEEP_EVERY)
