"""Writes that belong together, in a store that may break off between them.

What a batch counts is first noted as a whole. Whoever finds the note carries it out once more: all of it are
whole documents, so that does no harm, and then facts and rollups agree. What the batch had not written yet
comes again from the journal, and counts no second time.
"""

from __future__ import annotations

from collections.abc import Sequence

from crm.kernel.ports import Store, Write

COUNTED = "counted"


def guarded(writes: Sequence[Write], counted: Sequence[Write]) -> list[Write]:
    """The writes, with a note of those that count: there before any of them, gone after all."""
    note = {
        "_id": COUNTED,
        "documents": [{"of": write.collection, "is": write.document} for write in counted],
    }
    return [
        Write.replace("redo", note, plain=True),
        *writes,
        Write.delete("redo", {"_id": COUNTED}),
    ]


async def carry_out(store: Store) -> None:
    """What was begun and not finished."""
    note = await store.get("redo", COUNTED)
    if note is not None:
        again = [Write.replace(one["of"], one["is"], plain=True) for one in note["documents"]]
        await store.write([*again, Write.delete("redo", {"_id": COUNTED})])
