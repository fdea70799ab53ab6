"""What every session store must do with the documents that were written of a session; part of `StoreContract`."""

import msgspec

from protocols.ports import SessionStore
from tests.contracts.examples import S1, TTL_S, make_record, object_id, some_documents, started, stored, taken


class DocumentsContract:
    """Every test gets an empty store."""

    async def test_documents_come_back_unchanged(self, store: SessionStore) -> None:
        record, lease = await started(store)
        written = msgspec.structs.replace(record, documents=some_documents())
        saved = await store.save(written, lease)
        assert saved == msgspec.structs.replace(written, version=1)
        assert await store.load(S1) == saved
        assert (await store.save(msgspec.structs.replace(saved, documents=None), lease)).documents is None
        assert (await stored(store)).documents is None

    async def test_who_is_unfinished_and_nobodys_is_found(self, store: SessionStore) -> None:
        for name in ("free", "owned", "cut off", "talking", "done"):
            state = make_record(object_id(name), stage_index=1 if name == "talking" else 2)
            if name == "done":
                state = msgspec.structs.replace(state, documents=some_documents())
            lease = await store.create(state, "a", TTL_S if name == "owned" else 0)
            if name in ("free", "talking", "done"):
                await store.release(lease)
        assert await store.unfinished(10) == (object_id("free"),)
        await taken(store, "b", object_id("free"))
        assert await store.unfinished(10) == ()

    async def test_those_that_have_waited_longest_are_finished_first(self, store: SessionStore) -> None:
        for age, name in ((3, "c"), (1, "a"), (2, "b")):
            state = make_record(object_id(name), stage_index=2)
            await store.release(await store.create(msgspec.structs.replace(state, updated_at_ms=age), "x", TTL_S))
        assert await store.unfinished(2) == (object_id("a"), object_id("b"))
        assert len(await store.unfinished(10)) == 3
