"""Which speech-to-text hears: the choice of plug-ins."""

from typing import Any, cast

import msgspec
import structlog

from evaa.plugins import PluginRefused, load_factory
from evaa.stt.deepgram_flux import DeepgramFlux
from evaa.stt.deepgram_nova import DeepgramNova
from evaa.stt.deepgram_socket import DeepgramAccess, Dial, dial
from protocols.deepgram import FluxOptions, NovaOptions, is_flux
from protocols.ports import SpeechToText

_log = structlog.get_logger(actor="stt")


class SttChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say of speech to text. `plugin`: auto, deepgram, none, or `package.module:factory`.

    A factory is called without arguments and returns a `SpeechToText`. `eager_eot_threshold` 0: no eager ends.
    """

    plugin: str
    access: DeepgramAccess
    model: str
    language: str
    endpointing_ms: int
    utterance_end_ms: int
    eot_threshold: float
    eager_eot_threshold: float
    eot_timeout_ms: int


def choose_speech_to_text(choice: SttChoice, dial: Dial = dial) -> SpeechToText[Any] | None:
    """The plug-in that was chosen; None for no speech recognition. Raises `PluginRefused`."""
    plugin, why = choice.plugin, "EVAA_STT"
    if plugin == "auto":
        plugin = "deepgram" if choice.access.api_key else "none"
        why = "DEEPGRAM_API_KEY is set" if choice.access.api_key else "DEEPGRAM_API_KEY is not set"
    _log.info("stt.chosen", plugin=plugin, model=choice.model if plugin == "deepgram" else None, reason=why)
    if plugin == "none":
        return None
    if plugin == "deepgram":
        return deepgram(choice, dial)
    methods = ("name", "traits", "endpointing", "connect")
    return cast(SpeechToText[Any], load_factory(plugin, variable="EVAA_STT", kind="a speech-to-text", methods=methods))


def deepgram(choice: SttChoice, dial: Dial = dial) -> SpeechToText[Any]:
    """The plug-in for the model's protocol. Raises `PluginRefused` for options that Deepgram does not take."""
    try:
        if is_flux(choice.model):
            flux = FluxOptions(
                model=choice.model,
                eot_threshold=choice.eot_threshold,
                eager_eot_threshold=choice.eager_eot_threshold,
                eot_timeout_ms=choice.eot_timeout_ms,
                language_hints=(choice.language,),
            )
            return DeepgramFlux(choice.access, flux, dial)
        nova = NovaOptions(
            model=choice.model,
            language=choice.language,
            endpointing_ms=choice.endpointing_ms,
            utterance_end_ms=choice.utterance_end_ms,
        )
        return DeepgramNova(choice.access, nova, dial)
    except ValueError as error:
        raise PluginRefused(f"EVAA_STT_LANGUAGE or an EVAA_DEEPGRAM setting is wrong: {error}.") from None
