"""The words by which frames, events and entries are told apart: clients, journals and saved states of other
versions have them, whatever a class is called here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

from router.desk.events import AnyEvent, Ordered
from router.desk.state import AnyTold
from router.wire import protocol

FROM_CLIENTS = """
Close DropSetAside EditMessage Follow GetCard GetHistory GetLine GetLineVersions GetOperator GetQuarantine
GetSessions GetSetAside GetStatus GetThread GetWhy Hello Join Leave MarkRead Note Open Pin Ping Resend
RetrySetAside Return RollbackLine Say Score Search SetDuty SetLine SetOperator SetPriority Skip Snooze Spam
Start Tag Take TakeOver Transfer Typing Whisper
"""
FROM_THE_GATEWAY = """
Bye Card Changes Done Event Hint LineSettings LineVersions OperatorSettings Page Pong QuarantineList Retried
SessionList SetAside Snapshot StatusReport Welcome Why
"""
IN_THE_LOG = """
MessageReceived MessageEdited MessageDeleted Reacted MessageRead ButtonPressed ChatReachable ChatMoved
MediaStored Delivered Declined Present Writing LinesConfigured OperatorChanged CustomerChanged PutAside
TimerAgain SessionRestored
"""
IN_THE_JOURNAL = """
MessageAdded MessageChanged CustomerSeen CommandDone Alert Audit Decided FieldsFilled Rated LoginsRevoked Stray
"""


def words(kinds: Iterable[Any]) -> set[str]:
    return {str(kind.__struct_config__.tag) for kind in kinds}


def test_no_word_goes_or_changes() -> None:
    assert words(protocol.CLIENT_FRAMES) >= set(FROM_CLIENTS.split())
    assert words(get_args(protocol.ServerFrame)) >= set(FROM_THE_GATEWAY.split())
    assert words({*get_args(AnyEvent)} - {Ordered}) >= set(IN_THE_LOG.split())
    assert words(get_args(AnyTold)) >= set(IN_THE_JOURNAL.split())
