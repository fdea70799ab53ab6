"""Every setting: from the environment, or from a `.env` file in the working directory, which the environment overrides.

The name of a field's variable is `EVAA_` and the field's name in capitals, but for the few in `_OTHER_NAMES`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from dotenv import dotenv_values
from msgspec import Meta

_OTHER_NAMES = {
    "groq_api_key": "GROQ_API_KEY",
    "groq_base_url": "GROQ_BASE_URL",
    "deepgram_api_key": "DEEPGRAM_API_KEY",
    "mongodb_uri": "MONGODB_URI",
}
_SECRET = {"groq_api_key", "deepgram_api_key", "mongodb_uri"}

_NOT_YET = {
    "EVAA_AUTH_SECRET": "tokens are not checked yet; unset it, and let a proxy in front of EVAA authenticate",
}


MIN_EAGER_THRESHOLD = 0.3


class SettingsRefused(Exception):
    """A setting has a wrong value; the message is one sentence that names the variable and says what is right."""


Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Port = Annotated[int, Meta(ge=0, le=65_535)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What can be set, with its default. `_s` is seconds."""

    host: Annotated[str, Meta(description="address to listen on", min_length=1)] = "127.0.0.1"
    port: Annotated[Port, Meta(description="WebSocket port; 0 means any")] = 8765
    log_format: Annotated[
        Literal["auto", "json", "console"],
        Meta(description="auto, json or console; auto is console on a terminal, else json"),
    ] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="least severity logged: debug, info, warning or error"),
    ] = "info"
    llm: Annotated[
        str,
        Meta(
            description="auto, groq, scripted, or package.module:factory; auto is groq if GROQ_API_KEY is set",
            pattern=r"^(auto|groq|scripted|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$",
        ),
    ] = "auto"
    groq_api_key: Annotated[
        str, Meta(description="Groq's API key; no spaces, no letters but ASCII's", pattern=r"^[!-~]*$")
    ] = ""
    groq_base_url: Annotated[str, Meta(description="Groq's API", pattern=r"^https?://.+")] = "https://api.groq.com"
    groq_model: Annotated[str, Meta(description="the model that interviews", min_length=1)] = "openai/gpt-oss-20b"
    groq_fallback_model: Annotated[
        str, Meta(description="the model that takes its place when it fails; none: no other")
    ] = "openai/gpt-oss-120b"
    llm_first_token_timeout_s: Annotated[
        Seconds, Meta(description="wait for the first (and each next) token before the fallback")
    ] = 4.0
    llm_patience_s: Annotated[
        Seconds, Meta(description="all waiting before retries in one turn, retry-after included")
    ] = 6.0
    llm_history_chars: Annotated[
        int, Meta(description="the chat history sent to the model, in characters", ge=2_000, le=400_000)
    ] = 24_000
    stt: Annotated[
        str,
        Meta(
            description="auto, deepgram, none, or package.module:factory; auto is deepgram if DEEPGRAM_API_KEY is set",
            pattern=r"^(auto|deepgram|none|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$",
        ),
    ] = "auto"
    deepgram_api_key: Annotated[
        str, Meta(description="Deepgram's API key; no spaces, no letters but ASCII's", pattern=r"^[!-~]*$")
    ] = ""
    deepgram_url: Annotated[
        str,
        Meta(
            description="Deepgram's API; another region's, say wss://api.eu.deepgram.com", pattern=r"^wss?://[^/?#]+/?$"
        ),
    ] = "wss://api.deepgram.com"
    deepgram_model: Annotated[
        str,
        Meta(
            description="flux-general-en, flux-general-multi, nova-3, ...; the model chooses the protocol", min_length=1
        ),
    ] = "flux-general-en"
    deepgram_eot_threshold: Annotated[
        float, Meta(description="Flux: how sure it must be that the user has finished", ge=0.5, le=1.0)
    ] = 0.8
    deepgram_eager_eot_threshold: Annotated[
        float, Meta(description="Flux: how sure, to prepare a reply ahead, 0.3 to 0.9; 0: never", ge=0.0, le=0.9)
    ] = 0.5
    deepgram_eot_timeout_ms: Annotated[
        int, Meta(description="Flux: silence after which the user has finished in any case", ge=500, le=60_000)
    ] = 6_000
    deepgram_endpointing_ms: Annotated[
        int, Meta(description="Nova: silence after which the user has finished", ge=10, le=5_000)
    ] = 400
    deepgram_utterance_end_ms: Annotated[
        int, Meta(description="Nova: gap between words after which the user has finished", ge=1_000, le=5_000)
    ] = 1_500
    stt_language: Annotated[
        str,
        Meta(description="language of speech where the client names none (BCP 47; Nova also: multi)", min_length=2),
    ] = "en"
    stt_keyterms: Annotated[str, Meta(description="comma-separated words and names to expect in speech")] = ""
    stt_idle_s: Annotated[
        Seconds, Meta(description="a provider connection without audio is closed after so long; it is opened again")
    ] = 30.0
    store: Annotated[
        str,
        Meta(
            description="auto, mongodb, sqlite, or package.module:factory; auto is mongodb if MONGODB_URI is set",
            pattern=r"^(auto|mongodb|sqlite|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$",
        ),
    ] = "auto"
    mongodb_uri: Annotated[
        str,
        Meta(
            description="MongoDB's address: mongodb://user:password@host:27017/?replicaSet=name, or mongodb+srv://...",
            pattern=r"^(mongodb(\+srv)?://\S+)?$",
        ),
    ] = ""
    mongodb_database: Annotated[
        str,
        Meta(description="MongoDB's database; at most 63 bytes", pattern=r"^[^\s/\\.\"$*<>:|?\x00]{1,63}$"),
    ] = "evaa"
    sqlite_path: Annotated[str, Meta(description="the embedded store's file", min_length=1)] = "evaa.sqlite3"
    spill_path: Annotated[
        str,
        Meta(description="what could not be saved before the end; processes of one host may share it", min_length=1),
    ] = "evaa.spill.jsonl"
    lease_s: Annotated[
        float,
        Meta(description="a process that gives no sign of life for so long owns its sessions no more", ge=1, le=300),
    ] = 15.0
    max_sessions: Annotated[int, Meta(description="connections served at once", ge=1, le=1_000_000)] = 1_000
    allowed_origins: Annotated[
        str, Meta(description="comma-separated origins of pages that may connect; empty: any")
    ] = ""
    idle_timeout_s: Annotated[Seconds, Meta(description="a client that sends nothing for so long is closed (4408)")] = (
        900.0
    )
    write_deadline_s: Annotated[
        Seconds, Meta(description="a client that reads nothing for so long is closed (4413)")
    ] = 10.0
    max_text_chars: Annotated[int, Meta(description="length of a typed prompt", ge=1, le=200_000)] = 20_000
    drain_s: Annotated[
        float, Meta(description="time that live turns have to finish when the server stops; at most 15", gt=0, le=15)
    ] = 10.0


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return _OTHER_NAMES.get(field, f"EVAA_{field.upper()}")


def load_settings(environment: Mapping[str, str] | None = None, env_file: Path = Path(".env")) -> Settings:
    """Read the settings. Raises `SettingsRefused` for the first wrong value; a variable set to nothing is not set."""
    values = _read(env_file) | dict(os.environ if environment is None else environment)
    for name, why in _NOT_YET.items():
        if values.get(name):
            raise SettingsRefused(f"{name} is set, but {why}.")
    given: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        text = values.get(variable(field.name), "").strip()
        if text:
            given[field.name] = _convert(text, field)
    settings = Settings(**given)
    if settings.llm == "groq" and not settings.groq_api_key:
        raise SettingsRefused("EVAA_LLM is groq, but GROQ_API_KEY is not set.")
    if settings.stt == "deepgram" and not settings.deepgram_api_key:
        raise SettingsRefused("EVAA_STT is deepgram, but DEEPGRAM_API_KEY is not set.")
    if settings.store == "mongodb" and not settings.mongodb_uri:
        raise SettingsRefused("EVAA_STORE is mongodb, but MONGODB_URI is not set.")
    if 0 < settings.deepgram_eager_eot_threshold < MIN_EAGER_THRESHOLD:
        raise SettingsRefused(
            f"EVAA_DEEPGRAM_EAGER_EOT_THRESHOLD is wrong: it must be 0, or from {MIN_EAGER_THRESHOLD} to 0.9."
        )
    if settings.deepgram_eager_eot_threshold > settings.deepgram_eot_threshold:
        raise SettingsRefused("EVAA_DEEPGRAM_EAGER_EOT_THRESHOLD must not be above EVAA_DEEPGRAM_EOT_THRESHOLD.")
    return settings


def describe_settings() -> str:
    """Every variable with its default and meaning, a line each, for `--help`."""
    lines = []
    for field in msgspec.structs.fields(Settings):
        meaning = _meaning(field)
        default = "" if field.default == "" else f" (default {field.default})"
        lines.append(f"  {variable(field.name)}: {meaning}{default}")
    return "\n".join(lines)


def _convert(text: str, field: msgspec.structs.FieldInfo) -> object:
    try:
        return msgspec.convert(text, field.type, strict=False)
    except msgspec.ValidationError as error:
        shown = "" if field.name in _SECRET else f" {text!r}"
        raise SettingsRefused(f"{variable(field.name)}{shown} is wrong: {error} ({_meaning(field)}).") from None


def _meaning(field: msgspec.structs.FieldInfo) -> str:
    return next((meta.description for meta in _metas(field.type) if meta.description), "")


def _metas(annotation: object) -> list[Meta]:
    return [meta for meta in getattr(annotation, "__metadata__", ()) if isinstance(meta, Meta)]


def _read(env_file: Path) -> dict[str, str]:
    try:
        return {name: value for name, value in dotenv_values(env_file).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsRefused(f"{env_file} cannot be read: {error}.") from None


def example_env() -> str:
    """The text of `.env.example`: every variable, commented out, with its meaning."""
    lines = ["# Copy to .env and uncomment what you want to change. The environment overrides this file."]
    for field in msgspec.structs.fields(Settings):
        lines += ["", f"# {_meaning(field)}", f"# {variable(field.name)}={field.default}"]
    return "\n".join(lines) + "\n"
