"""A simulator of Deepgram's streaming speech-to-text on loopback: real WebSockets, scripted from Python or over HTTP.

It speaks `/v1/listen` (Nova-3) and `/v2/listen` (Flux). What it hears it knows: recordings whose text it was given are
recognised by their packets, wherever a connection takes them up; any other audio is answered with stock sentences, so
that a demo needs no key. Each connection takes the first `Fault` of the script, or else the default one, once its
handshake is in order. Time is trio's, so on a mock clock all delays are exact.

Besides there are, without authorisation and with JSON bodies: `POST /_simulator/script` (a list of faults, appended),
`POST /_simulator/default` (one fault), `GET /_simulator/connections` (`connections`, `counters` and `pending`) and
`POST /_simulator/reset`.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import h11
import msgspec
import trio

from evaa.simulators.deepgram.conversation import Conversation
from evaa.simulators.deepgram.ear import ClockEar, OpenEar
from evaa.simulators.deepgram.flux import FluxHabits, FluxListener
from evaa.simulators.deepgram.handshake import Opening, check_handshake, decode_target, last
from evaa.simulators.deepgram.hearing import Hearing
from evaa.simulators.deepgram.listener import Listener
from evaa.simulators.deepgram.nova import NovaHabits, NovaListener
from evaa.simulators.deepgram.recordings import Library, SpokenRecording
from evaa.simulators.deepgram.script import Closed, ConnectionRecord, Counters, Fault, Refusal, refusal_for
from evaa.simulators.deepgram.stock import STOCK_SENTENCES, StockSpeech
from evaa.simulators.deepgram.wire import Request, Wire
from evaa.simulators.scripted_server import ScriptedServer

_CREATED = "2026-11-20T10:15:30.202Z"


class DeepgramSimulator(ScriptedServer[Fault]):
    """The simulated provider: its script, what it was sent, and its server.

    `recordings` are those it knows; `stock_sentences` is what any other audio is taken for, one after another. With
    `api_key` no other key is let in. `ear` opens what a connection hears with. `connections` holds the records of the
    newest `keep_connections` handshakes, each with its newest `keep_messages` messages and, with `keep_audio`, all its
    audio.
    """

    scheme = "ws"

    def __init__(
        self,
        recordings: Iterable[SpokenRecording] = (),
        *,
        default: Fault | None = None,
        api_key: str | None = None,
        ear: OpenEar = ClockEar,
        stock_sentences: Sequence[str] = STOCK_SENTENCES,
        nova: NovaHabits | None = None,
        flux: FluxHabits | None = None,
        keep_connections: int = 1000,
        keep_messages: int = 100_000,
        keep_audio: bool = True,
    ) -> None:
        super().__init__(default or Fault())
        self.connections: deque[ConnectionRecord] = deque(maxlen=keep_connections)
        self.counters = Counters()
        self._api_key = api_key
        self._library = Library(recordings)
        self._open_ear = ear
        self._sentences = itertools.cycle(stock_sentences)
        self._nova = nova or NovaHabits()
        self._flux = flux or FluxHabits()
        self._keep_messages = keep_messages
        self._keep_audio = keep_audio
        self._numbers = itertools.count(1)
        self._routes: dict[tuple[str, str], Callable[[Any], dict[str, Any]]] = {
            ("POST", "/_simulator/script"): self._extend_script,
            ("POST", "/_simulator/default"): self._replace_default,
            ("GET", "/_simulator/connections"): self._tell_connections,
            ("POST", "/_simulator/reset"): self._forget,
        }

    def __repr__(self) -> str:
        return f"<DeepgramSimulator pending={self.pending} {self.counters}>"

    def reset(self) -> None:
        """Forget script, connections and counts, and restore the default that it was made with."""
        self.forget_script()
        self.connections.clear()
        self.counters = Counters(open_connections=self.counters.open_connections)

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serve one connection until either side ends it, then close it. What the client does wrong raises nothing."""
        wire = Wire(stream)
        self.counters.connections += 1
        self.counters.open_connections += 1
        try:
            await self._serve_requests(wire)
        except h11.RemoteProtocolError as error:
            await wire.refuse_garbage(error)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            pass  # The client left or fell silent, and nothing is owed to it.
        finally:
            self.counters.open_connections -= 1
            await trio.aclose_forcefully(stream)

    async def _serve_requests(self, wire: Wire) -> None:
        while (request := await wire.next_request()) is not None:
            if request.target.startswith("/_simulator/"):
                await self._control(wire, request)
            else:
                await self._listen(wire, request)
            if not wire.begin_next():
                return

    # --- Deepgram's paths ---------------------------------------------------------------------------------------

    async def _listen(self, wire: Wire, request: Request) -> None:
        _, params = decode_target(request.target)
        now = trio.current_time()
        record = ConnectionRecord(next(self._numbers), request.target, params, now, self._keep_messages)
        self.connections.append(record)
        self.counters.handshakes += 1
        try:
            await self._answer(wire, request, record)
        except* trio.TooSlowError:
            record.closed = record.closed or Closed("client", "stuck")
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            record.closed = record.closed or Closed("client", "left")
        finally:
            record.closed = record.closed or Closed("simulator", "cancelled")

    async def _answer(self, wire: Wire, request: Request, record: ConnectionRecord) -> None:
        opening = check_handshake(request.method, request.target, request.headers, self._api_key)
        if isinstance(opening, Refusal):
            await self._refuse(wire, record, opening)
            return
        fault = self._script.popleft() if self._script else self.default
        if fault.handshake_hang:
            self.counters.hung += 1
            await wire.wait()
            record.closed = Closed("client", "left")
        elif fault.handshake_delay_s and not await wire.wait(fault.handshake_delay_s):
            record.closed = Closed("client", "left")
        elif fault.status != 101:
            await self._refuse(wire, record, refusal_for(fault.status, fault.error_code), fault.retry_after_s)
        else:
            self.counters.accepted += 1
            record.status = 101
            await wire.accept(request, [("dg-request-id", record.request_id)])
            await self._converse(wire, record, opening, fault)

    async def _refuse(
        self, wire: Wire, record: ConnectionRecord, refusal: Refusal, retry_after_s: float | None = None
    ) -> None:
        self.counters.refused += 1
        record.status, record.closed = refusal.status, Closed("simulator", "refused")
        headers = [("dg-request-id", record.request_id), *refusal.headers(retry_after_s)]
        await wire.respond(refusal.status, headers, refusal.body(record.request_id))

    async def _converse(self, wire: Wire, record: ConnectionRecord, opening: Opening, fault: Fault) -> None:
        encoding = last(opening.params, "encoding") or None
        ear = self._open_ear(encoding, int(last(opening.params, "sample_rate", "48000")))
        hearing = Hearing(self._library, StockSpeech(self._sentences, encoding))
        listener = self._listener(opening, record, fault)
        await Conversation(wire, record, fault, listener, ear, hearing, keep_audio=self._keep_audio).run()

    def _listener(self, opening: Opening, record: ConnectionRecord, fault: Fault) -> Listener:
        now = trio.current_time()
        if opening.version == "v1":
            return NovaListener(opening.params, record.request_id, _CREATED, fault, self._nova, now)
        return FluxListener(opening.params, record.request_id, fault, self._flux, now)

    # --- the control paths --------------------------------------------------------------------------------------

    async def _control(self, wire: Wire, request: Request) -> None:
        route = self._routes.get((request.method, request.target))
        if route is None:
            await wire.respond(404, [], msgspec.json.encode({"error": "unknown path"}))
            return
        try:
            answer, status = route(request.body), 200
        except ValueError as error:
            answer, status = {"error": f"The body does not fit: {error}"}, 400
        await wire.respond(status, [], msgspec.json.encode(answer))

    def _extend_script(self, body: Any) -> dict[str, Any]:
        self.script(*msgspec.convert(body, tuple[Fault, ...]))
        return {"pending": self.pending}

    def _replace_default(self, body: Any) -> dict[str, Any]:
        self.default = msgspec.convert(body, Fault)
        return {"pending": self.pending}

    def _tell_connections(self, body: Any) -> dict[str, Any]:
        told = [record.summary() for record in self.connections]
        return {"connections": told, "counters": self.counters, "pending": self.pending}

    def _forget(self, body: Any) -> dict[str, Any]:
        self.reset()
        return {"pending": self.pending}
