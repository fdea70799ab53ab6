"""What can go wrong between a driver and its database, as `FaultProxy` does it to single commands.

    fault = proxy.add(HoldReply("update"))     # the next update is applied, but the driver is not told yet
    ...
    await fault.struck()                       # it has been, and its reply is held
    fault.release()

A fault strikes the next `times` commands of its name (None: all of them, until `proxy.remove`), or any command but the
driver's own (`hello`, `ping`, ...) where it names none.
"""

import trio

PATIENCE_S = 10.0
"""How long a test waits for something to happen to a command before it fails."""

DRIVERS_OWN = frozenset(
    {"", "hello", "isMaster", "ismaster", "ping", "endSessions", "saslStart", "saslContinue", "killCursors"}
)
"""What a driver sends for itself; the first hello on a connection has a form of its own, without a name."""


class Count:
    """A number that only grows, and that can be waited for."""

    def __init__(self) -> None:
        self.value = 0
        self._waiting = trio.lowlevel.ParkingLot()

    def add_one(self) -> None:
        self.value += 1
        self._waiting.unpark_all()

    async def reach(self, value: int) -> None:
        """Wait until it is at least `value`. Raises `trio.TooSlowError` where that takes unreasonably long."""
        with trio.fail_after(PATIENCE_S):
            while self.value < value:
                await self._waiting.park()


class Fault:
    """What all faults have in common."""

    def __init__(self, command: str | None = None, *, times: int | None = 1) -> None:
        self.command = command
        self._left = times
        self._strikes = Count()

    @property
    def strikes(self) -> int:
        """How often it has had its effect."""
        return self._strikes.value

    async def struck(self, times: int = 1) -> None:
        """Wait until it has had its effect so many times since it was made. Raises `trio.TooSlowError`."""
        await self._strikes.reach(times)

    # --- for the proxy ----------------------------------------------------------------------------------------------

    def take(self, command: str) -> bool:
        """Is this command one of those that it strikes? If so, there is one less to come."""
        fits = command not in DRIVERS_OWN if self.command is None else command == self.command
        if not fits or self._left == 0:
            return False
        if self._left is not None:
            self._left -= 1
        return True

    def strike(self) -> None:
        """It has its effect now."""
        self._strikes.add_one()


class DropRequest(Fault):
    """The request never reaches the server; the connection is closed."""


class DropReply(Fault):
    """The request is carried out, and then the connection is closed instead of the reply. Struck: it is carried out."""


class SwallowRequest(Fault):
    """Silence: the request never reaches the server, and the connection stays open."""


class Hold(Fault):
    """Something is held until the test lets go of it. Struck: it is being held."""

    def __init__(self, command: str | None = None, *, times: int | None = 1) -> None:
        super().__init__(command, times=times)
        self.holding = 0
        self._released = trio.Event()

    def release(self) -> None:
        """Let go of all that is held, and hold nothing more."""
        self._released.set()

    async def hold(self) -> None:
        """For the proxy: wait until it may go on."""
        self.holding += 1
        self.strike()
        try:
            await self._released.wait()
        finally:
            self.holding -= 1


class HoldReply(Hold):
    """The request is carried out, and the reply held."""


class _HeldRequest(Hold):
    def __init__(self, command: str | None = None, *, times: int | None = 1) -> None:
        super().__init__(command, times=times)
        self._landings = Count()

    async def landed(self, times: int = 1) -> None:
        """Wait until the server has answered so many of the held requests. Raises `trio.TooSlowError`."""
        await self._landings.reach(times)

    def land(self) -> None:
        """For the proxy: the server has answered one."""
        self._landings.add_one()


class HoldRequest(_HeldRequest):
    """The request is held; once released it reaches the server, whether or not the driver still waits for it."""


class LateRequest(_HeldRequest):
    """The connection to the driver is closed at once, but the request reaches the server when it is released.

    The nastiest case: a write that lands after the driver was told of a failure, and perhaps after later writes.
    """
