"""EVAA processes that are struck now and then, and come back."""

import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import trio

from tests.processes.daemon import Daemon, running_daemon

Harm = Literal["kill", "stop", "drain"]


class Blow(msgspec.Struct, frozen=True):
    """What is done to a process: SIGKILL, SIGSTOP for a while, or SIGTERM. `at` says when, in the test's own count."""

    harm: Harm
    at: int


class Place:
    """One EVAA process after another, each started when the one before has ended; `lives` are all of them."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.lives: list[Daemon] = []
        self.url = ""
        self._folder = folder
        self._environment = environment
        self._is_up = trio.Event()
        self._is_struck = False
        self._is_over = False
        self._blows = 0
        folder.mkdir()

    @property
    def peace(self) -> int | None:
        """A number that stays the same as long as nothing is done to the process; None while something is."""
        return None if self._is_struck else self._blows

    async def live(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run a process, and the next one when it ends, until `end`."""
        while not self._is_over:
            async with running_daemon(self._folder, **self._environment) as daemon:
                self.lives.append(daemon)
                self.url = daemon.url
                self._is_up.set()
                if len(self.lives) == 1:
                    task_status.started()
                await daemon.read_to_end()
                assert self._is_struck, f"it ended by itself; it logged {daemon.log[-5:]}"
                await daemon.process.wait()

    async def suffer(
        self, blows: Sequence[Blow], wait_until: Callable[[int], Awaitable[None]], stopped_s: float
    ) -> None:
        """Be struck by one after another, each when `wait_until` says that its time has come."""
        for blow in blows:
            await wait_until(blow.at)
            self._blows += 1
            self._is_struck = True
            if blow.harm == "stop":
                await self._stand_still(stopped_s)
            else:
                self._is_up = trio.Event()
                await self._end(blow.harm)
                await self._is_up.wait()
            self._is_struck = False

    async def end(self) -> None:
        """Drain; no other process follows."""
        self._is_struck = self._is_over = True
        await self._end("drain")

    async def _stand_still(self, stopped_s: float) -> None:
        process = self.lives[-1].process
        process.send_signal(signal.SIGSTOP)
        await trio.sleep(stopped_s)
        process.send_signal(signal.SIGCONT)

    async def _end(self, harm: Harm) -> None:
        process = self.lives[-1].process
        process.send_signal(signal.SIGKILL if harm == "kill" else signal.SIGTERM)
        assert await process.wait() == (-signal.SIGKILL if harm == "kill" else 0)
