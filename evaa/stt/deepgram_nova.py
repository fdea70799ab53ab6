"""Deepgram's v1 protocol (Nova) behind the `SpeechToText` port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from evaa.stt.deepgram_socket import DeepgramAccess, DeepgramSocket, Dial, dial, open_socket
from evaa.stt.keyterms import Keyterms
from evaa.stt.nova_endpointing import SILENCE_S, NovaEndpointing
from protocols.deepgram import NovaOptions, listen_query, takes_keyterms
from protocols.deepgram_messages import (
    CLOSE_STREAM,
    FINALIZE,
    KEEP_ALIVE,
    ConfigureFailure,
    ConfigureSuccess,
    Malformed,
    NovaError,
    NovaMessage,
    decode_nova,
)
from protocols.ports import Endpointing, SttConnection, SttRefused
from protocols.speech import SttRequest, SttTraits

OVERDUE_S = 0.5

_log = structlog.get_logger(actor="stt")


class NovaConnection:
    """One v1 connection. It is ready at once: v1 has no greeting."""

    def __init__(self, socket: DeepgramSocket, keyterms: Keyterms) -> None:
        self.request_id = socket.request_id
        self._socket = socket
        self._keyterms = keyterms

    async def send_audio(self, data: bytes) -> None:
        """Send audio. An empty frame would close the stream (docs/close-stream)."""
        await self._socket.send(data)

    async def keep_alive(self) -> None:
        """Due every 10 s at the latest (docs/audio-keep-alive)."""
        await self._socket.send(KEEP_ALIVE)

    async def finish_utterance(self) -> None:
        """Ask for what was heard so far (docs/finalize)."""
        await self._socket.send(FINALIZE)

    async def finish_stream(self) -> None:
        """Ask for the last results and the close (docs/close-stream)."""
        self._socket.has_asked_to_close = True
        await self._socket.send(CLOSE_STREAM)

    async def set_keyterms(self, keyterms: tuple[str, ...]) -> None:
        """Replace the words to expect, once Deepgram has answered for the last ones."""
        await self._keyterms.replace(keyterms)

    async def receive(self) -> NovaMessage | None:
        """Return the next message. What is not understood is a sign of life all the same."""
        text = await self._socket.receive()
        if text is None:
            return None
        message = decode_nova(text)
        if isinstance(message, ConfigureSuccess | ConfigureFailure):
            await self._keyterms.answered()
        elif isinstance(message, NovaError):
            _log.warning("stt.unexpected", stt="deepgram_nova", reason=message.variant)
        elif isinstance(message, Malformed):
            _log.warning("stt.unexpected", stt="deepgram_nova", reason=message.reason)
        return message


class DeepgramNova:
    """Speech to text by a Nova model."""

    name = "deepgram_nova"
    # It needs a sign of life every 10 s, and sends one about every second of audio (docs/interim-results).
    traits = SttTraits(keep_alive_s=4.0, unused_s=9.0, silence_s=8.0, unheard_s=1.5)

    def __init__(self, access: DeepgramAccess, options: NovaOptions, dial: Dial = dial) -> None:
        self._access = access
        self._options = options
        self._dial = dial

    def endpointing(self, pending: str = "") -> Endpointing[NovaMessage]:
        """See `SpeechToText`."""
        # Silence is ours to judge only once Deepgram's own judgement of it is overdue.
        silence_s = max(SILENCE_S, self._options.utterance_end_ms / 1000 + OVERDUE_S)
        return NovaEndpointing(pending, silence_s=silence_s, finish_s=self.traits.finish_s)

    @asynccontextmanager
    async def connect(self, request: SttRequest) -> AsyncIterator[SttConnection[NovaMessage]]:
        """See `SpeechToText`."""
        try:
            target = listen_query(self._options, request)
        except ValueError as error:
            raise SttRefused(str(error)) from None
        async with open_socket(self._access, target, "nova", self._dial) as socket:
            yield NovaConnection(socket, Keyterms(socket.send, takes_them=takes_keyterms(self._options.model)))
