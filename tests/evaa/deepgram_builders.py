"""Messages as Deepgram would send them, and the endpointing under a virtual clock."""

from collections.abc import Sequence

from evaa.stt.flux_endpointing import FluxEndpointing
from evaa.stt.nova_endpointing import NovaEndpointing
from protocols.deepgram_messages import (
    Alternative,
    Channel,
    FluxMessage,
    NovaMessage,
    Results,
    TurnInfo,
    Word,
)
from protocols.ports import Endpointing
from protocols.speech import Final, Heard

WORD_S = 0.2
EVERY_S = 0.3


def timed(text: str, at: float) -> tuple[Word, ...]:
    """The words of the text, the first one at `at`, one every 0.3 s, each 0.2 s long."""
    return tuple(
        Word(word, None, round(at + EVERY_S * number, 3), round(at + EVERY_S * number + WORD_S, 3))
        for number, word in enumerate(text.split())
    )


def untimed(text: str) -> tuple[Word, ...]:
    return tuple(Word(word) for word in text.split())


def results(
    text: str,
    start: float,
    end: float,
    *,
    words: tuple[Word, ...] | None = None,
    is_final: bool = False,
    speech_final: bool = False,
    from_finalize: bool = False,
) -> Results:
    """Results of the segment from `start` to `end`; unless told otherwise, the words begin with the segment."""
    return Results(
        start=start,
        duration=round(end - start, 3),
        channel=Channel((Alternative(text, timed(text, start) if words is None else words),)),
        is_final=is_final or speech_final,
        speech_final=speech_final,
        from_finalize=from_finalize,
    )


def settled(text: str, start: float, end: float) -> Results:
    return results(text, start, end, is_final=True)


def ended(text: str, start: float, end: float) -> Results:
    return results(text, start, end, speech_final=True)


def turn(
    event: str,
    text: str,
    until: float,
    *,
    index: int = 0,
    start: float = 0.0,
    words: tuple[Word, ...] | None = None,
    trigger: str | None = None,
) -> TurnInfo:
    """Where the turn stands once Flux has heard the audio until `until`; its words begin at `start`."""
    return TurnInfo(event, index, until, start, text, timed(text, start) if words is None else words, trigger)


def connected_nova(pending: str = "") -> NovaEndpointing:
    nova = NovaEndpointing(pending)
    nova.connected(0.0)
    return nova


def connected_flux(pending: str = "") -> FluxEndpointing:
    flux = FluxEndpointing(pending)
    flux.connected(0.0)
    return flux


def texts(heard: Sequence[Heard]) -> list[str]:
    return [event.text for event in heard if isinstance(event, Final)]


def nova_is_a_port() -> Endpointing[NovaMessage]:
    return NovaEndpointing()


def flux_is_a_port() -> Endpointing[FluxMessage]:
    return FluxEndpointing()
