"""Which speech-to-text hears: the choice of plug-ins."""

from typing import Any, cast

import msgspec
import structlog

from evaa.plugins import PluginRefused, load_factory
from evaa.stt.deepgram_flux import DeepgramFlux
from evaa.stt.deepgram_nova import DeepgramNova
from evaa.stt.deepgram_socket import DeepgramAccess, Dial, dial
from protocols.deepgram import FLUX_LANGUAGES, FluxOptions, NovaOptions, is_flux
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
    stt: SpeechToText[Any] | None = None
    if plugin == "deepgram":
        stt = deepgram(choice, dial)
    elif plugin != "none":
        methods = ("name", "traits", "endpointing", "connect")
        made = load_factory(plugin, variable="EVAA_STT", kind="a speech-to-text", methods=methods)
        stt = cast(SpeechToText[Any], made)
    _log.info("stt.chosen", plugin=plugin, model=choice.model if plugin == "deepgram" else None, reason=why)
    return stt


def deepgram(choice: SttChoice, dial: Dial = dial) -> SpeechToText[Any]:
    """The plug-in for the model's protocol. Raises `PluginRefused` for options that Deepgram does not take."""
    check_language(choice)
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
        raise PluginRefused(f"{_variable(str(error))} is wrong: {error}.") from None


def check_language(choice: SttChoice) -> None:
    """Raise `PluginRefused` for a language that a Flux model does not hear: it would be left out without a word."""
    base = choice.language.partition("-")[0].lower()
    known = {"flux-general-en": frozenset({"en"}), "flux-general-multi": FLUX_LANGUAGES}.get(choice.model)
    if known is not None and base not in known:
        hears = ", ".join(sorted(known))
        raise PluginRefused(
            f"EVAA_STT_LANGUAGE is {choice.language}, but {choice.model} hears {hears}; set EVAA_DEEPGRAM_MODEL to"
            " flux-general-multi (ten languages) or nova-3."
        )


def _variable(problem: str) -> str:
    """The setting that an option of Deepgram comes from; the option is the first word of the problem."""
    option = problem.split(maxsplit=1)[0]
    return "EVAA_STT_LANGUAGE" if option.startswith("language") else f"EVAA_DEEPGRAM_{option.upper()}"
