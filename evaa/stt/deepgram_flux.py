"""Deepgram's v2 protocol (Flux) behind the `SpeechToText` port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
import trio

from evaa.stt.deepgram_socket import DeepgramAccess, DeepgramSocket, Dial, dial, open_socket
from evaa.stt.flux_endpointing import FluxEndpointing
from evaa.stt.keyterms import Keyterms
from protocols.deepgram import FluxOptions, flux_failure, listen_query
from protocols.deepgram_messages import (
    CLOSE_STREAM,
    FORCE_END_TURN,
    ConfigureFailure,
    ConfigureSuccess,
    Connected,
    FluxError,
    FluxMessage,
    FluxWarning,
    Malformed,
    TurnInfo,
    decode_flux,
)
from protocols.ports import Endpointing, SttConnection, SttLost, SttRefused
from protocols.speech import SttRequest, SttTraits

TAIL_S = 0.3
"""`ForceEndTurn` ends the turn with what is decoded: the last syllables take one period of updates (0.25 s)."""

READY_S = 10.0

_log = structlog.get_logger(actor="stt")


class FluxConnection:
    """One v2 connection, once `Connected` has come."""

    def __init__(self, socket: DeepgramSocket) -> None:
        self.request_id = socket.request_id
        self._socket = socket
        self._keyterms = Keyterms(socket.send, takes_them=True)
        self._is_ending = False
        self._has_ended = False

    async def wait_ready(self) -> None:
        """Wait until Deepgram takes audio. Raises `SttLost` if it never says so."""
        with trio.move_on_after(READY_S):
            while not isinstance(await self.receive(), Connected):
                pass
            return
        raise SttLost(f"Deepgram said nothing within {READY_S:g} s of the handshake")

    async def send_audio(self, data: bytes) -> None:
        """Send audio."""
        await self._socket.send(data)

    async def keep_alive(self) -> None:
        """Ping: v2 knows no `KeepAlive`, which would end the connection. A pong that does not come ends it too."""
        await self._socket.ping()

    async def finish_utterance(self) -> None:
        """End the turn with what is decoded (docs/flux/force-end-turn)."""
        await self._socket.send(FORCE_END_TURN)

    async def finish_stream(self) -> None:
        """End the turn; `CloseStream` alone would lose it (docs/flux/close-stream)."""
        await trio.sleep(TAIL_S)
        self._is_ending = True
        await self._socket.send(FORCE_END_TURN)

    async def set_keyterms(self, keyterms: tuple[str, ...]) -> None:
        """Replace the words to expect, once Deepgram has answered for the last ones."""
        await self._keyterms.replace(keyterms)

    async def receive(self) -> FluxMessage | None:
        """Return the next message. What is not understood is a sign of life all the same."""
        if self._has_ended:
            self._socket.has_asked_to_close = True
            await self._socket.send(CLOSE_STREAM)
            return None
        text = await self._socket.receive()
        if text is None:
            return None
        message = decode_flux(text)
        match message:
            case FluxError():
                raise flux_failure(message)
            case ConfigureSuccess() | ConfigureFailure():
                await self._keyterms.answered()
            case Malformed(reason):
                _log.warning("stt.unexpected", stt="deepgram_flux", reason=reason)
            case TurnInfo(event="EndOfTurn", trigger="manual") | FluxWarning(code="FORCE_END_TURN_NO_ACTIVE_TURN"):
                self._has_ended = self._is_ending  # any other end is of a turn before
        return message


class DeepgramFlux:
    """Speech to text by a Flux model."""

    name = "deepgram_flux"
    # 60 s without audio or ping end a connection; an `Update` comes every 0.25 s of audio (docs/flux/state).
    traits = SttTraits(keep_alive_s=15.0, unused_s=None, silence_s=3.0, unheard_s=0.75)

    def __init__(self, access: DeepgramAccess, options: FluxOptions, dial: Dial = dial) -> None:
        self._access = access
        self._options = options
        self._dial = dial

    def endpointing(self, pending: str = "") -> Endpointing[FluxMessage]:
        """See `SpeechToText`."""
        return FluxEndpointing(pending, finish_s=self.traits.finish_s)

    @asynccontextmanager
    async def connect(self, request: SttRequest) -> AsyncIterator[SttConnection[FluxMessage]]:
        """See `SpeechToText`."""
        try:
            target = listen_query(self._options, request)
        except ValueError as error:
            raise SttRefused(str(error)) from None
        async with open_socket(self._access, target, "flux", self._dial) as socket:
            connection = FluxConnection(socket)
            await connection.wait_ready()
            yield connection
