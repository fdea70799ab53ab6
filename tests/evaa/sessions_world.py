"""Sessions to move from one store to another, and stores that count or make trouble."""

import trio.testing

from evaa.commands.session_lines import encode_line
from evaa.storage.memory import MemoryStore
from protocols.ports import SessionStore, StoreError
from protocols.records import Lease, SessionRecord
from tests.contracts.examples import TTL_S, make_record, stored, with_words

WORDS = "nobody else should read this"


def session_id(number: int) -> str:
    """The ids of `many`, in their order."""
    return f"{number:024x}"


def many(count: int) -> list[SessionRecord]:
    """So many sessions, in the order of their ids."""
    return [with_words(make_record(session_id(number)), WORDS) for number in range(count)]


def lines(sessions: list[SessionRecord]) -> bytes:
    """The sessions as they are exported."""
    return b"".join(map(encode_line, sessions))


async def fill(store: SessionStore, sessions: list[SessionRecord]) -> None:
    """Store the sessions; nobody owns them."""
    for record in sessions:
        await store.release(await store.create(record, "a server", TTL_S))


async def contents(store: SessionStore) -> list[SessionRecord]:
    """All sessions of a store, in the order of their ids."""
    return [await stored(store, it) for it in await store.session_ids()]


class CountingStore(MemoryStore):
    """`most` is how many loads were under way at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self._under_way = 0

    async def load(self, session_id: str) -> SessionRecord | None:
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        await trio.testing.wait_all_tasks_blocked()
        self._under_way -= 1
        return await super().load(session_id)


class TroubledStore(MemoryStore):
    """Some sessions cannot be read, and some not be written: why, by their ids."""

    def __init__(self) -> None:
        super().__init__()
        self.unreadable: dict[str, StoreError] = {}
        self.refused: dict[str, StoreError] = {}

    async def load(self, session_id: str) -> SessionRecord | None:
        if error := self.unreadable.get(session_id):
            raise error
        return await super().load(session_id)

    async def create(self, record: SessionRecord, owner: str, ttl_s: float) -> Lease:
        if error := self.refused.get(record.session_id):
            raise error
        return await super().create(record, owner, ttl_s)

    async def save(self, record: SessionRecord, lease: Lease) -> SessionRecord:
        if error := self.refused.get(record.session_id):
            raise error
        return await super().save(record, lease)
