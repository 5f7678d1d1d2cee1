"""What died half done in an edit of an object is finished, by whichever gateway comes first."""

from __future__ import annotations

import asyncio
import logging

from crm.kernel.errors import NavbatError
from crm.kernel.ports import Store
from crm.objects.writing import sweep

logger = logging.getLogger(__name__)

SWEEP_EVERY = 60.0
"""Seconds. It finds nothing but what a crash has left: two queries of an empty index each."""


async def keep_swept(store: Store) -> None:
    """At the start and then every minute. Ends by cancellation."""
    while True:
        try:
            if swept := await sweep(store):
                logger.info("audit records of %d objects were still to be copied", swept)
        except (NavbatError, TimeoutError) as error:
            logger.warning("what is still to be copied into the audit waits: %s", type(error).__name__)
        await asyncio.sleep(SWEEP_EVERY)
