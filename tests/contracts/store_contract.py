"""What every session store must do. A store joins by subclassing `StoreContract` with a `store` fixture of its own.

The fixture yields an open, empty store and closes it afterwards.
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from types import NoneType

import msgspec
import pytest
import trio

from protocols.ports import (
    LeaseHeld,
    LeaseLost,
    SessionExists,
    SessionStore,
    StoreUnavailable,
    VersionConflict,
)
from protocols.records import Lease, SessionRecord
from tests.contracts.documents_contract import DocumentsContract
from tests.contracts.examples import (
    NOBODY,
    S1,
    S2,
    TTL_S,
    at_once,
    changed,
    make_record,
    make_stage,
    object_id,
    started,
    stored,
    taken,
    with_words,
)


class StoreContract(DocumentsContract):
    """Every test gets an empty store."""

    # --- create and load ---

    async def test_a_created_session_is_loaded_as_it_was(self, store: SessionStore) -> None:
        record, lease = await started(store)
        assert (await store.load(S1), lease.session_id, lease.owner) == (record, S1, "a")

    async def test_a_session_is_created_once_at_version_0(self, store: SessionStore) -> None:
        record = make_record()
        await store.create(msgspec.structs.replace(record, version=7), "a", TTL_S)
        with pytest.raises(SessionExists):
            await store.create(changed(record, "other"), "b", TTL_S)
        assert await store.load(S1) == record

    async def test_a_missing_session_is_none(self, store: SessionStore) -> None:
        assert await store.load(NOBODY) is None
        assert await store.acquire(NOBODY, "a", TTL_S) is None

    # --- save ---

    @pytest.mark.parametrize(
        "messages",
        [
            (),
            ('""',),
            ('{"text":"Grüße, 世界 🎙"}', "[1,2.5,null,true]"),
            ('{"nul":"a\\u0000b","quote":"\\"],["}',),
            ('{"big":123456789012345678901234567890,"$set":{"a.b":1}}',),
            tuple(f'{{"n":{n},"text":"{"words " * 20}"}}' for n in range(300)),
        ],
        ids=["none", "empty", "unicode", "nul", "numbers and keys", "300"],
    )
    async def test_messages_come_back_unchanged(self, store: SessionStore, messages: tuple[str, ...]) -> None:
        record, lease = await started(store)
        saved = await store.save(msgspec.structs.replace(record, messages=messages), lease)
        assert saved.messages == messages
        assert await store.load(S1) == saved

    @pytest.mark.parametrize("text", ["", "Grüße, 世界 🎙", "nul \0 inside", "line\nbreak\u2028", '"{[\\'])
    async def test_words_come_back_unchanged(self, store: SessionStore, text: str) -> None:
        record, lease = await started(store)
        saved = await store.save(with_words(record, text), lease)
        assert saved.interview.turns[0].text == text
        assert await store.load(S1) == saved

    async def test_facts_may_have_any_key(self, store: SessionStore) -> None:
        facts = {"a.b": {"$set": "x", "": "empty", "c.$.d": "y"}, "$where": {"é": "z"}}
        record, lease = await started(store)
        interview = msgspec.structs.replace(record.interview, facts=facts)
        await store.save(msgspec.structs.replace(record, interview=interview), lease)
        assert (await stored(store)).interview.facts == facts

    async def test_every_field_is_replaced(self, store: SessionStore) -> None:
        _, lease = await started(store)
        finished = make_record(messages=('"m"',), stage_index=2, follow_ups_used=1)
        finished = msgspec.structs.replace(finished, created_at_ms=3, updated_at_ms=2**45)
        saved = await store.save(finished, lease)
        assert saved == msgspec.structs.replace(finished, version=1)
        assert await store.load(S1) == saved

    @pytest.mark.parametrize("text", ["half \ud83d", "\udc00 first", "\ud800\ud800"])
    async def test_a_lone_surrogate_loses_no_save(self, store: SessionStore, text: str) -> None:
        record, lease = await started(store)
        worded = with_words(msgspec.structs.replace(record, messages=(f'{{"t":"{text}"}}',)), text)
        saved = await store.save(worded, lease)
        expected = "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)
        assert saved.interview.turns[0].text == expected
        assert saved.messages == (f'{{"t":"{expected}"}}',)
        assert await store.load(S1) == saved
        await store.create(with_words(make_record(S2), text), "a", TTL_S)
        assert (await stored(store, S2)).interview == saved.interview

    async def test_an_escaped_lone_surrogate_loses_no_save(self, store: SessionStore) -> None:
        record, lease = await started(store)
        await store.save(msgspec.structs.replace(record, messages=('{"t":"half \\ud83d"}', '"next"')), lease)
        assert (await stored(store)).messages == ('{"t":"half \\ud83d"}', '"next"')

    async def test_each_save_raises_the_version_by_one(self, store: SessionStore) -> None:
        record, lease = await started(store)
        for version in range(1, 6):
            record = await store.save(changed(record, str(version)), lease)
            assert record.version == version
        assert await store.load(S1) == record

    async def test_another_version_is_a_conflict(self, store: SessionStore) -> None:
        record, lease = await started(store)
        saved = await store.save(changed(record, "first"), lease)
        for version in (0, 2):
            with pytest.raises(VersionConflict):
                await store.save(msgspec.structs.replace(changed(record, "second"), version=version), lease)
        assert await store.load(S1) == saved

    async def test_a_lease_serves_its_own_session_only(self, store: SessionStore) -> None:
        record, _ = await started(store, S1)
        _, other = await started(store, S2)
        with pytest.raises(LeaseLost):
            await store.save(changed(record, "stolen"), other)
        assert await store.load(S1) == record

    # --- leases ---

    async def test_the_newest_owner_wins_and_tokens_grow(self, store: SessionStore) -> None:
        _, lease = await started(store)
        tokens = [lease.token] + [(await taken(store, owner)).token for owner in "bcdab"]
        assert tokens == sorted(set(tokens))

    async def test_an_overtaken_owner_is_fenced(self, store: SessionStore) -> None:
        record, old = await started(store)
        new = await taken(store, "b")
        with pytest.raises(LeaseLost):
            await store.save(changed(record, "stale"), old)
        with pytest.raises(LeaseLost):
            await store.renew(old, TTL_S)
        await store.release(old)
        with pytest.raises(LeaseHeld):
            await store.acquire(S1, "c", TTL_S, take_over=False)
        assert await store.load(S1) == record
        assert (await store.save(changed(record, "fresh"), new)).version == 1
        with pytest.raises(LeaseLost):  # rather than the version's conflict, which is there too
            await store.save(changed(record, "stale"), old)

    async def test_a_lease_holds_until_it_expires(self, store: SessionStore) -> None:
        _, lease = await started(store)
        with pytest.raises(LeaseHeld):
            await store.acquire(S1, "b", TTL_S, take_over=False)
        for owner in ("b", "b"):  # who comes again too late is a new owner
            await store.renew(lease, 0)
            newer = await taken(store, owner, take_over=False)
            assert newer.token > lease.token
            lease = newer

    async def test_renewing_extends(self, store: SessionStore) -> None:
        lease = await store.create(make_record(), "a", 0)
        await store.renew(lease, TTL_S)
        with pytest.raises(LeaseHeld):
            await store.acquire(S1, "b", TTL_S, take_over=False)

    async def test_an_owner_that_comes_again_keeps_its_token(self, store: SessionStore) -> None:
        record, lease = await started(store)
        assert await taken(store, "a") == lease
        assert await taken(store, "a", take_over=False) == lease
        assert (await store.save(changed(record, "mine"), lease)).version == 1

    async def test_a_released_lease_is_free_and_its_token_is_not_given_again(self, store: SessionStore) -> None:
        record, lease = await started(store)
        await store.release(lease)
        await store.release(lease)
        assert (await store.save(changed(record, "late"), lease)).version == 1
        assert (await taken(store, "b", take_over=False)).token > lease.token

    async def test_a_lease_of_nothing_is_lost(self, store: SessionStore) -> None:
        with pytest.raises(LeaseLost):
            await store.save(make_record(NOBODY), Lease(NOBODY, "a", 1))
        with pytest.raises(LeaseLost):
            await store.renew(Lease(NOBODY, "a", 1), TTL_S)
        await store.release(Lease(NOBODY, "a", 1))
        assert await store.load(NOBODY) is None

    async def test_of_many_leases_those_that_were_overtaken_are_named(self, store: SessionStore) -> None:
        mine = [(await started(store, object_id(f"s{n}")))[1] for n in range(5)]
        await taken(store, "b", object_id("s1"))
        await store.release(mine[2])
        await store.renew(mine[3], 0)
        gone = Lease(NOBODY, "a", 1)
        assert await store.overtaken([*mine, gone]) == {object_id("s1"), NOBODY}
        assert await store.overtaken([]) == frozenset()
        await taken(store, "b", object_id("s2"))
        assert await store.overtaken(mine) == {object_id("s1"), object_id("s2")}

    # --- all sessions ---

    async def test_sessions_are_listed_by_their_ids_page_by_page(self, store: SessionStore) -> None:
        assert (await store.session_ids(), await store.count_sessions()) == ((), 0)
        ids = sorted(f"{n:024x}" for n in (1, 255, 2**60, 2**95, 2**96 - 1))
        for session_id in reversed(ids):
            await started(store, session_id)
        assert await store.session_ids() == tuple(ids)
        assert await store.session_ids(limit=2) == tuple(ids[:2])
        assert await store.session_ids(ids[1], 2) == tuple(ids[2:4])
        assert await store.session_ids(ids[-1]) == ()
        assert await store.session_ids(NOBODY) == tuple(it for it in ids if it > NOBODY)
        assert await store.count_sessions() == 5

    # --- at the same time ---

    async def test_of_thirty_racing_creators_one_wins(self, store: SessionStore) -> None:
        results = await at_once(partial(store.create, make_record(), f"owner-{n}", TTL_S) for n in range(30))
        assert Counter(map(type, results)) == {Lease: 1, SessionExists: 29}
        with pytest.raises(LeaseHeld):
            await store.acquire(S1, "later", TTL_S, take_over=False)

    async def test_of_thirty_racing_writers_one_wins_each_round(self, store: SessionStore) -> None:
        record, lease = await started(store)
        for version in range(1, 6):
            results = await at_once(partial(store.save, changed(record, f"{version}-{n}"), lease) for n in range(30))
            assert Counter(map(type, results)) == {SessionRecord: 1, VersionConflict: 29}
            [record] = [result for result in results if isinstance(result, SessionRecord)]
            assert record.version == version
            assert await store.load(S1) == record

    async def test_of_racing_owners_the_last_token_alone_saves(self, store: SessionStore) -> None:
        record, _ = await started(store)
        results = await at_once(partial(taken, store, f"owner-{n}") for n in range(20))
        leases = sorted((it for it in results if isinstance(it, Lease)), key=lambda lease: lease.token)
        assert len({lease.token for lease in leases}) == 20
        results_of_saves = await at_once(partial(store.save, changed(record, it.owner), it) for it in leases)
        assert [type(result) for result in results_of_saves] == [LeaseLost] * 19 + [SessionRecord]

    async def test_two_hundred_sessions_save_at_once(self, store: SessionStore) -> None:
        sessions = [await started(store, object_id(f"s{n}")) for n in range(200)]
        results = await at_once(partial(store.save, changed(it, it.session_id), lease) for it, lease in sessions)
        for (record, _), result in zip(sessions, results, strict=True):
            assert result == msgspec.structs.replace(changed(record, record.session_id), version=1)
            assert await store.load(record.session_id) == result

    async def test_a_refused_save_undoes_no_other(self, store: SessionStore) -> None:
        sessions = [await started(store, object_id(f"s{n}")) for n in range(21)]
        for n in range(0, 21, 3):
            record, lease = sessions[n]
            sessions[n] = msgspec.structs.replace(record, version=9), lease
            record, lease = sessions[n + 1]
            sessions[n + 1] = record, msgspec.structs.replace(lease, token=lease.token + 1)
        results = await at_once(partial(store.save, changed(it, "saved"), lease) for it, lease in sessions)
        assert [type(result) for result in results] == [VersionConflict, LeaseLost, SessionRecord] * 7
        assert [(await stored(store, object_id(f"s{n}"))).version for n in range(21)] == [0, 0, 1] * 7

    @pytest.mark.parametrize("seed", range(3))
    async def test_a_cancelled_save_is_never_in_doubt(self, store: SessionStore, seed: int) -> None:
        sessions = [await started(store, object_id(f"s{number}")) for number in range(60)]
        chance = random.Random(seed)
        returned: dict[str, int] = {}
        at_return: dict[str, SessionRecord | None] = {}

        async def save(record: SessionRecord, lease: Lease, scope: trio.CancelScope) -> None:
            with scope:
                try:
                    saved = await store.save(changed(record, "saved"), lease)
                    returned[record.session_id] = saved.version
                finally:
                    with trio.CancelScope(shield=True):
                        at_return[record.session_id] = await store.load(record.session_id)

        async with trio.open_nursery() as nursery:
            for record, lease in sessions:
                scope = trio.CancelScope()
                nursery.start_soon(save, record, lease, scope)
                if chance.random() < 0.3:
                    scope.cancel()
                nursery.start_soon(self._cancel_after, chance.randrange(12), scope)
        for record, lease in sessions:
            found = await stored(store, record.session_id)
            assert found == at_return[record.session_id]
            if record.session_id in returned:
                assert found.version == returned[record.session_id] == 1
            assert (await store.save(found, lease)).version == found.version + 1

    @staticmethod
    async def _cancel_after(checkpoints: int, scope: trio.CancelScope) -> None:
        for _ in range(checkpoints):
            await trio.lowlevel.checkpoint()
        scope.cancel()

    async def test_an_overtaken_cancelled_save_never_lands(self, store: SessionStore) -> None:
        record, lease = await started(store)
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.save(changed(record, "old"), lease)
        found = await stored(store)
        newer = await store.save(changed(found, "new"), await taken(store, "b"))
        assert await store.load(S1) == newer

    # --- stages ---

    async def test_stages_come_in_their_order(self, store: SessionStore) -> None:
        assert await store.stages() == ()
        first, second, third = (make_stage(name, order) for order, name in enumerate(("z", "a", "m")))
        await store.replace_stages([third, first, second])
        assert await store.stages() == (first, second, third)

    async def test_a_stage_comes_back_unchanged(self, store: SessionStore) -> None:
        stage = make_stage("ä.$", 3, name="Grüße", goal="nul \0", description="", opening="世界?")
        stage = msgspec.structs.replace(stage, max_follow_ups=0, follow_ups=("One?", "Two?"), imposed_at_ms=7)
        await store.replace_stages([stage])
        assert await store.stages() == (stage,)

    async def test_a_stage_with_a_lone_surrogate_is_stored(self, store: SessionStore) -> None:
        await store.replace_stages([make_stage(name="half \ud83d")])
        assert await store.stages() == (make_stage(name="half \ufffd"),)

    async def test_stages_are_replaced_whole(self, store: SessionStore) -> None:
        await store.replace_stages([make_stage("a", 1), make_stage("b", 2)])
        await store.replace_stages([make_stage("b", 1, name="New"), make_stage("c", 2)])
        assert await store.stages() == (make_stage("b", 1, name="New"), make_stage("c", 2))
        await store.replace_stages([])
        assert await store.stages() == ()

    async def test_nobody_sees_half_a_replacement(self, store: SessionStore) -> None:
        sets = [tuple(make_stage(f"{kind}{order}", order) for order in range(5)) for kind in "xy"]
        await store.replace_stages(sets[0])
        calls: list[Callable[[], Awaitable[object]]] = [partial(store.replace_stages, sets[n % 2]) for n in range(10)]
        seen = await at_once([*calls, *[store.stages] * 20])
        assert set(seen[10:]) <= set(sets)

    async def test_stages_are_seeded_once(self, store: SessionStore) -> None:
        defaults = (make_stage("a", 1), make_stage("b", 2))
        await at_once([partial(store.prepare, defaults)] * 3)
        assert await store.stages() == defaults
        await store.replace_stages([make_stage("own", 1)])
        await store.prepare(defaults)
        assert await store.stages() == (make_stage("own", 1),)

    async def test_a_running_session_keeps_its_stages(self, store: SessionStore) -> None:
        record, _ = await started(store)
        await store.replace_stages([make_stage("other", 1)])
        assert await store.load(S1) == record

    # --- the end ---

    async def test_after_close_every_call_is_refused(self, store: SessionStore) -> None:
        record, lease = await started(store)
        await at_once([store.close, store.close])
        calls: list[Callable[[], Awaitable[object]]] = [
            partial(store.create, make_record(S2), "a", TTL_S),
            partial(store.acquire, S1, "a", TTL_S),
            partial(store.renew, lease, TTL_S),
            partial(store.release, lease),
            partial(store.load, S1),
            partial(store.save, record, lease),
            partial(store.overtaken, []),
            store.session_ids,
            store.count_sessions,
            partial(store.prepare, []),
            store.stages,
            partial(store.replace_stages, []),
        ]
        assert [type(result) for result in await at_once(calls)] == [StoreUnavailable] * len(calls)

    async def test_close_is_done_even_if_cancelled(self, store: SessionStore) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.close()
        with pytest.raises(StoreUnavailable):
            await store.load(S1)

    async def test_what_was_saving_when_it_closed_is_known(self, store: SessionStore) -> None:
        sessions = [await started(store, object_id(f"s{n}")) for n in range(20)]
        saves = [partial(store.save, changed(it, "saved"), lease) for it, lease in sessions]
        calls: list[Callable[[], Awaitable[object]]] = [*saves[:10], store.close, *saves[10:]]
        results = await at_once(calls)
        assert {type(result) for result in results} <= {SessionRecord, StoreUnavailable, NoneType}
