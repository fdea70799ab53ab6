"""What fails while a group is being stopped is said, though nothing is restarted any more."""

from functools import partial

import structlog
import trio
from trio.testing import MockClock

from actors.supervisor import ChildSpec, RestartBudget, Supervisor
from protocols.frontend import CloseCode


class Lasting:
    """Works until it is stopped, and fails at that if it is told to."""

    def __init__(self, *, fails: bool) -> None:
        self._fails = fails
        self._stopped = trio.Event()

    async def run(self) -> None:
        await self._stopped.wait()
        if self._fails:
            raise OSError("a full disk, and what somebody said")

    def stop(self) -> None:
        self._stopped.set()


async def test_a_failure_while_stopping_is_logged_without_its_text(autojump_clock: MockClock) -> None:
    specs = [
        ChildSpec("persistence", partial(Lasting, fails=True), stop_grace_s=1.0),
        ChildSpec("reader", partial(Lasting, fails=False), stop_grace_s=1.0),
    ]
    supervisor = Supervisor(specs, RestartBudget())
    supervisor.end(CloseCode.GOING_AWAY, "over")
    with structlog.testing.capture_logs() as logs:
        end = await supervisor.run()
    assert end.code == CloseCode.GOING_AWAY
    (failed,) = logs
    assert (failed["event"], failed["actor"], failed["outcome"]) == ("actor.failed", "persistence", "stopped")
    assert failed["error"] == "OSError"
    assert "somebody" not in str(failed)
