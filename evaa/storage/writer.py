"""The thread that writes to a SQLite file: group commit for callers in trio.

It takes every operation that waits, runs each behind a savepoint of one `BEGIN IMMEDIATE` transaction, commits once and
then wakes all the waiters.
"""

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import outcome
import trio

from protocols.ports import RecordTooLarge, StoreUnavailable

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]

MAX_WAITING = 256
"""Writes that may wait for the thread; further callers wait, in order, before they are accepted."""


class _Job(Generic[T]):
    """An accepted operation. `result` is set, in trio's thread, just before `done`."""

    result: outcome.Outcome[T]

    def __init__(self, operation: Operation[T]) -> None:
        self.operation = operation
        self.done = trio.Event()


class Writer:
    """Owns the writing connection and its thread; belongs to the trio run that made it.

    The thread survives whatever an operation raises (`outcome` carries it to that operation's waiter) and whatever a
    transaction raises (all its waiters are told; the connection is replaced, since its state is anyone's guess).
    `commits` counts the transactions that were committed.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], connection: sqlite3.Connection) -> None:
        self.commits = 0
        self._connect = connect
        self._connection: sqlite3.Connection | None = connection
        self._trio = trio.lowlevel.current_trio_token()
        self._closed = False
        self._room = trio.Semaphore(MAX_WAITING)
        # Never full: the semaphore admits MAX_WAITING jobs, and the word to stop comes once.
        self._queue: queue.Queue[_Job[Any] | None] = queue.Queue(MAX_WAITING + 1)
        # A daemon, so that a program that dies without closing its store exits; it loses nothing it has acknowledged.
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def run(self, operation: Operation[T]) -> T:
        """Return what `operation` returned in the thread, once that is committed, or raise what it raised.

        An operation that raises leaves no trace. SQLite's own errors come as `StoreUnavailable` and `RecordTooLarge`,
        without the text of the error. If the transaction fails, all its operations are undone and raise
        `StoreUnavailable`; so do all calls after `close`.

        Cancellable while `MAX_WAITING` others wait: then the operation never runs. Once accepted it is waited for.
        """
        async with self._room:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            job = _Job(operation)
            self._queue.put_nowait(job)
            with trio.CancelScope(shield=True):
                await job.done.wait()
        return job.result.unwrap()

    async def close(self) -> None:
        """Do what was accepted, end the thread, close the connection. Idempotent; not cancellable (a commit's time)."""
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._thread.join)

    def _run(self) -> None:
        more = True
        while more:
            batch, more = self._take()
            if batch and not self._report(batch, self._commit(batch)):
                break
        self._discard_connection()

    def _take(self) -> tuple[list[_Job[Any]], bool]:
        """Wait for a job, then take all that there are; False once there will be no more."""
        batch: list[_Job[Any]] = []
        job = self._queue.get()
        while job is not None:
            batch.append(job)
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _report(self, batch: list[_Job[Any]], results: Sequence[outcome.Outcome[Any]]) -> bool:
        try:
            self._trio.run_sync_soon(_wake, batch, results)
        except trio.RunFinishedError:
            return False  # the store was never closed, and nobody is left to use it
        return True

    def _commit(self, batch: list[_Job[Any]]) -> Sequence[outcome.Outcome[Any]]:
        settled = outcome.capture(self._transact, batch)
        if isinstance(settled, outcome.Error):
            self._discard_connection()
            return [outcome.Error(_unavailable(settled.error)) for _ in batch]
        self.commits += 1
        return settled.value

    def _transact(self, batch: list[_Job[Any]]) -> Sequence[outcome.Outcome[Any]]:
        connection = self._connection = self._connection or self._connect()
        connection.execute("BEGIN IMMEDIATE")
        results = [_apply(connection, job.operation) for job in batch]
        connection.execute("COMMIT")
        return results

    def _discard_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()  # rolls back what is open


def _wake(batch: list[_Job[Any]], results: Sequence[outcome.Outcome[Any]]) -> None:
    for job, result in zip(batch, results, strict=True):
        job.result = result
        job.done.set()


def _apply(connection: sqlite3.Connection, operation: Operation[Any]) -> outcome.Outcome[Any]:
    connection.execute("SAVEPOINT operation")
    result = attempt(operation, connection)
    if isinstance(result, outcome.Error):
        # Raises if SQLite has undone the whole transaction (it may, when a disk is full): then the batch has failed.
        connection.execute("ROLLBACK TO operation")
    connection.execute("RELEASE operation")
    return result


def attempt(operation: Operation[T], connection: sqlite3.Connection) -> outcome.Outcome[T]:
    """Run the operation; SQLite's errors become the port's."""
    result = outcome.capture(operation, connection)
    if not isinstance(result, outcome.Error):
        return result
    if isinstance(result.error, sqlite3.DataError):
        return outcome.Error(RecordTooLarge("SQLite cannot hold a record of this size"))
    # DatabaseError itself, not its other children (they are our own mistakes), stands for a damaged file.
    if type(result.error) in (sqlite3.OperationalError, sqlite3.DatabaseError):
        return outcome.Error(_unavailable(result.error))
    return result


def _unavailable(error: BaseException) -> StoreUnavailable:
    # SQLite's messages can quote what is stored; the name of the error cannot.
    failure = StoreUnavailable(f"SQLite: {getattr(error, 'sqlite_errorname', type(error).__name__)}")
    if not isinstance(error, sqlite3.Error):
        failure.__cause__ = error
    return failure
