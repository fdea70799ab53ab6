"""What every simulated provider has: a script from outside, and a server on loopback."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import trio

StepT = TypeVar("StepT")

MAX_SCRIPT = 10_000  # steps waiting


class ScriptedServer(ABC, Generic[StepT]):
    """A server that takes the next step of its script for each client, or else does what `default` says.

    `default` may be replaced at any time. Subclasses say how one connection is served.
    """

    scheme = "http"

    def __init__(self, default: StepT) -> None:
        self.default = default
        self._initial_default = default
        self._script: deque[StepT] = deque()

    @property
    def pending(self) -> int:
        """How many steps of the script were not taken yet."""
        return len(self._script)

    def script(self, *steps: StepT) -> None:
        """Append steps; each serves one client, in order. Raises ValueError beyond `MAX_SCRIPT` waiting."""
        if len(self._script) + len(steps) > MAX_SCRIPT:
            raise ValueError(f"the script holds at most {MAX_SCRIPT} steps")
        self._script.extend(steps)

    def forget_script(self) -> None:
        """Forget the script, and restore the default that it was made with."""
        self._script.clear()
        self.default = self._initial_default

    async def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled; port 0 takes any free one. `nursery.start` returns the base URL.

        Cancelling closes the listener and every connection. Raises OSError if the address cannot be had.
        """
        listeners = await trio.open_tcp_listeners(port, host=host)
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, self.handle, listeners)
            task_status.started(self._base_url(listeners[0].socket.getsockname()))

    @abstractmethod
    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serve one connection until either side ends it, then close it. What the client does wrong raises nothing."""
        ...

    def _base_url(self, address: Sequence[Any]) -> str:
        host, port = address[:2]
        return f"{self.scheme}://[{host}]:{port}" if ":" in host else f"{self.scheme}://{host}:{port}"
