"""Who owns which session, as the documents and the processes' logs tell it."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import trio

from tests.mongodb.server import START_S, client
from tests.processes.daemon import Daemon

LOOK_EVERY_S = 0.02
_FIELDS = {"leaseToken": 1, "leaseOwner": 1, "version": 1}


class Ownership:
    """Looks into the documents over and over: versions and tokens never go back, and a token has one owner."""

    def __init__(self) -> None:
        self.owners: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        self._newest: dict[str, tuple[int, int]] = {}

    async def watch(self, uri: str, database: str) -> None:
        """Until cancelled."""
        with client(uri, timeout_s=START_S) as mongo:
            memories = mongo[database]["memories"]
            while True:
                for document in await trio.to_thread.run_sync(lambda: list(memories.find({}, _FIELDS))):
                    self._see(document)
                await trio.sleep(LOOK_EVERY_S)

    def _see(self, document: dict[str, Any]) -> None:
        session, now = str(document["_id"]), (document["leaseToken"], document["version"])
        before = self._newest.get(session, now)
        assert now[0] >= before[0], f"{session}: a token went back, from {before} to {now}"
        assert now[1] >= before[1], f"{session}: a version went back, from {before} to {now}"
        self._newest[session] = now
        if document["leaseOwner"] is not None:  # it was not released
            owners = self.owners[session, document["leaseToken"]]
            owners.add(document["leaseOwner"])
            assert len(owners) == 1, f"{session}: several owners under one token: {owners}"


def check_logs(lives: Iterable[Daemon]) -> None:
    """No two processes opened a session under the same token, and nothing failed in any of them."""
    opened_by: dict[tuple[str, int], Daemon] = {}
    for life in lives:
        for line in life.log:
            assert line["event"] not in {"actor.failed", "connection.failed", "store.lost", "asyncio.error"}, line
            if line["event"] == "session.opened":
                assert opened_by.setdefault((line["session_id"], line["lease_token"]), life) is life, line
