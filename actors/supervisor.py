"""Supervision after OTP: a pure core that decides, and a thin trio shell that starts, restarts and stops actors.

Children start in order and stop in reverse, when the group is cancelled too. A child that fails is restarted, together
with those that depend on it, after a back-off; more than `max_restarts` within `within_s` and the supervisor gives up.
A child that returns, or raises `EndSession`, ends the whole group. `Cancelled` is not a failure. This is the only
module that catches `Exception`: an error that gets here is logged once, by its type and place, never with its text,
which may quote what a user said.
"""

import contextlib
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

import msgspec
import structlog
import trio

from protocols.frontend import CloseCode

T = TypeVar("T")

_log = structlog.get_logger()


# --- pure core --------------------------------------------------------------------------------------------------


class RestartBudget:
    """How many restarts within how long (OTP's restart intensity). Takes the time; knows no clock."""

    def __init__(self, max_restarts: int = 3, within_s: float = 10.0, first_back_off_s: float = 0.1) -> None:
        self._max_restarts = max_restarts
        self._within_s = within_s
        self._first_back_off_s = first_back_off_s
        self._restarts: deque[float] = deque(maxlen=max_restarts + 1)

    def spend(self, now: float) -> float | None:
        """Count a failure at `now`: the back-off in seconds before the restart, or None when the budget is spent."""
        while self._restarts and now - self._restarts[0] >= self._within_s:
            self._restarts.popleft()
        self._restarts.append(now)
        count = len(self._restarts)
        return None if count > self._max_restarts else self._first_back_off_s * 2 ** (count - 1)


# --- trio shell -------------------------------------------------------------------------------------------------


ORDERLY_S = 0.5
"""How long children that are cancelled may hold up those that were started before them."""

GOING_AWAY = "the server is going away; reconnect"
TAKEN_OVER = "this session was opened by a newer connection"


class EndSession(Exception):
    """An actor's word that the session is over: how to close it, and why. No failure."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Actor(Protocol):
    """What a supervisor runs."""

    async def run(self) -> None:
        """Work until cancelled, stopped, or done."""
        ...

    def stop(self) -> None:
        """Ask for an end: finish what is accepted, then return from `run`. Returns at once."""
        ...


class ChildSpec(msgspec.Struct, frozen=True):
    """One child: `build` makes a fresh actor for each start. `stop_grace_s` bounds what it does after `stop`."""

    name: str
    build: Callable[[], Actor]
    depends_on: frozenset[str] = frozenset()
    stop_grace_s: float = 0.0


@dataclass
class _Child:
    spec: ChildSpec
    actor: Actor
    scope: trio.CancelScope = field(default_factory=partial(trio.CancelScope, shield=True))
    finished: trio.Event = field(default_factory=trio.Event)


_Exit = tuple[_Child | None, Exception | None]


class Supervisor:
    """Runs one group of actors to its end."""

    def __init__(self, specs: Sequence[ChildSpec], budget: RestartBudget, **context: object) -> None:
        self._specs = tuple(specs)
        self._budget = budget
        self._children: dict[str, _Child] = {}
        # A place for each child and its successor, and one for whoever ends the group from outside.
        self._send, self._receive = trio.open_memory_channel[_Exit](2 * len(specs) + 1)
        self._end: EndSession | None = None
        self._log = _log.bind(**context)

    @property
    def asked_end(self) -> EndSession | None:
        """Why the group is to end, or has ended; None while nobody wants it to."""
        return self._end

    def end(self, code: int, reason: str) -> None:
        """End the group from outside: as if an actor had raised `EndSession`. The first reason counts."""
        if self._end is None:
            self._end = EndSession(code, reason)
            self._send.send_nowait((None, self._end))

    async def run(self) -> EndSession:
        """Run the children until the group ends, stop them in reverse, and return why it ended.

        Cancellation cancels them in reverse, so that what one of them leaves behind in its cleanup reaches those that
        it was meant for. Each does its own bounded cleanup, and all but the last together hold that up for `ORDERLY_S`
        at most.
        """
        async with trio.open_nursery() as nursery:
            try:
                self._end = await self._run_children(nursery)
                for spec in reversed(self._specs):
                    await self._stop(self._children[spec.name])
            finally:
                await self._cancel_in_reverse()
            self._log_late_failures()
        return self._end

    async def _run_children(self, nursery: trio.Nursery) -> EndSession:
        """Start the children, restart what fails, and return why the group is over."""
        for spec in self._specs:
            self._start(nursery, spec)
        while True:
            child, error = await self._receive.receive()
            if child is not None and self._children[child.spec.name] is not child:
                continue  # it has been replaced meanwhile
            if (end := self._why_over(child, error)) is not None:
                return end
            assert child is not None
            await self._restart(nursery, child.spec)

    async def _cancel_in_reverse(self) -> None:
        """Cancel what still runs: the children are shielded from all other cancellation."""
        with trio.CancelScope(deadline=trio.current_time() + ORDERLY_S, shield=True):
            for child in reversed(self._children.values()):
                child.scope.cancel()
                await child.finished.wait()
        for child in self._children.values():
            child.scope.cancel()

    def _log_late_failures(self) -> None:
        """What failed while the group was being stopped."""
        with contextlib.suppress(trio.WouldBlock):
            while True:
                child, error = self._receive.receive_nowait()
                if child is not None and error is not None and _find_end(error) is None:
                    self._log.error("actor.failed", actor=child.spec.name, outcome="stopped", **describe(error))

    def _why_over(self, child: _Child | None, error: Exception | None) -> EndSession | None:
        """Why the group is over; None if a restart will do."""
        if error is None:
            return EndSession(CloseCode.NORMAL, "closed by the client")
        if (end := _find_end(error)) is not None:
            return end
        assert child is not None
        back_off_s = self._budget.spend(trio.current_time())
        outcome = "restarting" if back_off_s is not None else "giving_up"
        self._log.error("actor.failed", actor=child.spec.name, outcome=outcome, **describe(error))
        if back_off_s is None:
            return EndSession(CloseCode.SESSION_FAILED, "the session failed; reconnect to resume it")
        self._back_off_s = back_off_s
        return None

    async def _restart(self, nursery: trio.Nursery, failed: ChildSpec) -> None:
        affected = [spec for spec in self._specs if spec is failed or failed.name in spec.depends_on]
        for spec in reversed(affected):
            child = self._children[spec.name]
            child.scope.cancel()
            await child.finished.wait()
        await trio.sleep(self._back_off_s)
        for spec in affected:
            self._start(nursery, spec)
            self._log.warning("actor.restarted", actor=spec.name, back_off_s=self._back_off_s)

    def _start(self, nursery: trio.Nursery, spec: ChildSpec) -> None:
        child = _Child(spec, spec.build())
        self._children[spec.name] = child
        nursery.start_soon(self._run_child, child, name=spec.name)

    async def _run_child(self, child: _Child) -> None:
        error: Exception | None = None
        try:
            with child.scope:
                await child.actor.run()
        except Exception as raised:  # noqa: BLE001
            error = raised
        finally:
            child.finished.set()
        if not child.scope.cancelled_caught or error is not None:
            self._send.send_nowait((child, error))

    async def _stop(self, child: _Child) -> None:
        child.actor.stop()
        if child.spec.stop_grace_s > 0:
            with trio.move_on_after(child.spec.stop_grace_s):
                await child.finished.wait()
        child.scope.cancel()
        await child.finished.wait()


async def contain(task: Callable[[], Awaitable[None]], **context: object) -> None:
    """Run `task`; an error in it is logged and ends there, so that one connection never harms another."""
    await attempt(task, None, event="connection.failed", **context)


async def attempt(task: Callable[[], Awaitable[T]], otherwise: T, *, event: str, **context: object) -> T:
    """Return what `task` does; an error in it is logged as `event` and ends there, and `otherwise` is returned."""
    try:
        return await task()
    except Exception as error:  # noqa: BLE001
        _log.error(event, **context, **describe(error))
        return otherwise


def describe(error: BaseException) -> dict[str, object]:
    """What a log line may say of an error: its type, and where it was raised; not its text."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else None
    return {"error": type(error).__name__, "at": place}


def _find_end(error: BaseException) -> EndSession | None:
    if isinstance(error, EndSession):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((end for inner in error.exceptions if (end := _find_end(inner)) is not None), None)
    return None
