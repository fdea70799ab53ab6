"""The settings: defaults, the `.env` file, the environment, and one clear sentence for whatever is wrong."""

from pathlib import Path

import msgspec
import pytest

from actors.persistence import PersistenceLimits
from run import llm_choice, server_limits
from settings import Settings, SettingsRefused, describe_settings, example_env, load_settings, variable

KEY = "gsk_canary_key"
VARIABLES = [variable(field.name) for field in msgspec.structs.fields(Settings)]


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def refusal(environment: dict[str, str], env_file: Path) -> str:
    with pytest.raises(SettingsRefused) as raised:
        load_settings({"GROQ_API_KEY": KEY} | environment, env_file)
    message = str(raised.value)
    assert KEY not in message
    assert message.endswith(".")
    assert "\n" not in message
    return message


# --- what is taken ----------------------------------------------------------------------------------------------


def test_without_anything_set_the_defaults_hold(env_file: Path) -> None:
    settings = load_settings({}, env_file)
    assert settings == Settings()
    assert (settings.host, settings.port, settings.llm, settings.groq_api_key) == ("127.0.0.1", 8765, "auto", "")
    assert (settings.groq_model, settings.groq_base_url) == ("openai/gpt-oss-20b", "https://api.groq.com")
    assert (settings.log_format, settings.log_level, settings.sqlite_path) == ("auto", "info", "evaa.sqlite3")


def test_every_setting_is_taken_from_its_variable(env_file: Path) -> None:
    given = {
        "EVAA_HOST": "::1",
        "EVAA_PORT": "0",
        "EVAA_LOG_FORMAT": "json",
        "EVAA_LOG_LEVEL": "debug",
        "EVAA_LLM": "our.module:make",
        "GROQ_API_KEY": KEY,
        "GROQ_BASE_URL": "http://127.0.0.1:1",
        "EVAA_GROQ_MODEL": "m",
        "EVAA_GROQ_FALLBACK_MODEL": "n",
        "EVAA_LLM_FIRST_TOKEN_TIMEOUT_S": "1.5",
        "EVAA_LLM_PATIENCE_S": "2",
        "EVAA_LLM_HISTORY_CHARS": "2000",
        "EVAA_STT": "our.module:make",
        "DEEPGRAM_API_KEY": KEY,
        "EVAA_DEEPGRAM_URL": "ws://127.0.0.1:1",
        "EVAA_DEEPGRAM_MODEL": "nova-3",
        "EVAA_DEEPGRAM_EOT_THRESHOLD": "0.9",
        "EVAA_DEEPGRAM_EAGER_EOT_THRESHOLD": "0.4",
        "EVAA_DEEPGRAM_EOT_TIMEOUT_MS": "7000",
        "EVAA_DEEPGRAM_ENDPOINTING_MS": "300",
        "EVAA_DEEPGRAM_UTTERANCE_END_MS": "2000",
        "EVAA_STT_LANGUAGE": "de-AT",
        "EVAA_STT_KEYTERMS": "n8n, DATEV",
        "EVAA_STT_IDLE_S": "12.5",
        "EVAA_STORE": "our.module:make",
        "MONGODB_URI": f"mongodb+srv://user:{KEY}@host/?replicaSet=rs",
        "EVAA_MONGODB_DATABASE": "other",
        "EVAA_SQLITE_PATH": "a b.sqlite3",
        "EVAA_SPILL_PATH": "s.jsonl",
        "EVAA_LEASE_S": "2.5",
        "EVAA_MAX_SESSIONS": "1",
        "EVAA_ALLOWED_ORIGINS": "https://a, https://b",
        "EVAA_IDLE_TIMEOUT_S": "86400",
        "EVAA_WRITE_DEADLINE_S": "0.1",
        "EVAA_MAX_TEXT_CHARS": "200000",
        "EVAA_DRAIN_S": "5",
    }
    assert set(given) == set(VARIABLES)
    settings = load_settings(given, env_file)
    for field in msgspec.structs.fields(Settings):
        value = getattr(settings, field.name)
        text = given[variable(field.name)]
        assert value == (text if isinstance(value, str) else float(text))
        assert value != field.default


def test_the_file_is_read_and_the_environment_overrides_it(env_file: Path) -> None:
    env_file.write_text(
        f'# ours\nexport EVAA_PORT=1234\nEVAA_HOST="0.0.0.0"\nGROQ_API_KEY={KEY} # the key\nEVAA_DRAIN_S=\nBARE\n',
        encoding="utf-8",
    )
    settings = load_settings({"EVAA_HOST": "::1", "OTHER": "x"}, env_file)
    assert (settings.port, settings.host, settings.groq_api_key) == (1234, "::1", KEY)
    assert settings.drain_s == Settings().drain_s


def test_the_processes_own_environment_is_read(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "EVAA_AUTH_SECRET", "MONGODB_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EVAA_PORT", "1234")
    assert load_settings(env_file=env_file).port == 1234


@pytest.mark.parametrize("nothing", ["", " ", "\n"])
def test_a_variable_set_to_nothing_is_not_set(env_file: Path, nothing: str) -> None:
    assert load_settings(dict.fromkeys(VARIABLES, nothing), env_file) == Settings()


def test_white_space_around_a_value_is_not_part_of_it(env_file: Path) -> None:
    settings = load_settings({"EVAA_PORT": " 1234 ", "GROQ_API_KEY": f"{KEY}\n"}, env_file)
    assert (settings.port, settings.groq_api_key) == (1234, KEY)


@pytest.mark.parametrize(("given", "models"), [("", 2), ("openai/gpt-oss-120b", 2), ("none", 1)])
def test_the_fallback_model_can_be_none(env_file: Path, given: str, models: int) -> None:
    choice = llm_choice(load_settings({"EVAA_GROQ_FALLBACK_MODEL": given}, env_file))
    assert choice.models == ("openai/gpt-oss-20b", "openai/gpt-oss-120b")[:models]


def test_a_lease_is_renewed_three_times_before_it_ends(env_file: Path) -> None:
    limits = server_limits(load_settings({"EVAA_LEASE_S": "6"}, env_file)).session.persistence
    assert (limits.lease_ttl_s, limits.renew_every_s) == (6, 2)
    assert server_limits(Settings()).session.persistence == PersistenceLimits()


@pytest.mark.parametrize("plugin", ["auto", "groq", "scripted", "make:it", "our.deep.module:make_it", "_a.b1:_c"])
def test_every_kind_of_interviewer(env_file: Path, plugin: str) -> None:
    assert load_settings({"EVAA_LLM": plugin, "GROQ_API_KEY": KEY}, env_file).llm == plugin


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("EVAA_PORT", "http", "`int`"),
        ("EVAA_PORT", "-1", ">= 0"),
        ("EVAA_PORT", "65536", "<= 65535"),
        ("EVAA_PORT", "80.5", "`int`"),
        ("EVAA_PORT", "true", "`int`"),
        ("EVAA_LOG_FORMAT", "xml", "auto, json or console"),
        ("EVAA_LOG_LEVEL", "INFO", "debug, info, warning or error"),
        ("EVAA_LLM", "openai", "auto, groq, scripted, or package.module:factory"),
        ("EVAA_LLM", "a.b:c d", "package.module:factory"),
        ("EVAA_LLM", "a:b:c", "package.module:factory"),
        ("EVAA_LLM", ".a:b", "package.module:factory"),
        ("GROQ_BASE_URL", "api.groq.com", "https?://"),
        ("GROQ_BASE_URL", "ftp://api.groq.com", "https?://"),
        ("EVAA_LLM_FIRST_TOKEN_TIMEOUT_S", "0", "> 0"),
        ("EVAA_LLM_FIRST_TOKEN_TIMEOUT_S", "nan", "> 0"),
        ("EVAA_LLM_PATIENCE_S", "inf", "<= 86400"),
        ("EVAA_LLM_PATIENCE_S", "five", "`float`"),
        ("EVAA_LLM_HISTORY_CHARS", "1999", ">= 2000"),
        ("EVAA_LLM_HISTORY_CHARS", "400001", "<= 400000"),
        ("EVAA_STT", "whisper", "auto, deepgram, none, or package.module:factory"),
        ("EVAA_DEEPGRAM_URL", "https://api.deepgram.com", "wss?://"),
        ("EVAA_DEEPGRAM_URL", "wss://api.deepgram.com/v2/listen", "wss?://"),
        ("EVAA_DEEPGRAM_EOT_THRESHOLD", "0.49", ">= 0.5"),
        ("EVAA_DEEPGRAM_EAGER_EOT_THRESHOLD", "0.95", "<= 0.9"),
        ("EVAA_DEEPGRAM_EOT_TIMEOUT_MS", "60001", "<= 60000"),
        ("EVAA_DEEPGRAM_ENDPOINTING_MS", "0.3", "`int`"),
        ("EVAA_DEEPGRAM_UTTERANCE_END_MS", "999", ">= 1000"),
        ("EVAA_STT_IDLE_S", "0", "> 0"),
        ("EVAA_LEASE_S", "0.9", ">= 1"),
        ("EVAA_LEASE_S", "301", "<= 300"),
        ("EVAA_MAX_SESSIONS", "0", ">= 1"),
        ("EVAA_IDLE_TIMEOUT_S", "-5", "> 0"),
        ("EVAA_WRITE_DEADLINE_S", "86401", "<= 86400"),
        ("EVAA_MAX_TEXT_CHARS", "0", ">= 1"),
        ("EVAA_DRAIN_S", "10s", "`float`"),
    ],
)
@pytest.mark.parametrize("where", ["environment", "file"])
def test_a_wrong_value_is_named_with_what_would_be_right(
    env_file: Path, where: str, name: str, value: str, right: str
) -> None:
    if where == "file":
        env_file.write_text(f"{name}='{value}'\n", encoding="utf-8")
    message = refusal({name: value} if where == "environment" else {}, env_file)
    assert message.startswith(f"{name} {value!r} is wrong: ")
    assert right in message


@pytest.mark.parametrize("wrong", [f"“{KEY}”", f"{KEY}\n{KEY}", f"{KEY} {KEY}", f"{KEY}\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(env_file: Path, wrong: str) -> None:
    message = refusal({"GROQ_API_KEY": wrong}, env_file)
    assert message.startswith("GROQ_API_KEY is wrong: ")


def test_groq_without_a_key_is_refused(env_file: Path) -> None:
    message = refusal({"EVAA_LLM": "groq", "GROQ_API_KEY": ""}, env_file)
    assert message == "EVAA_LLM is groq, but GROQ_API_KEY is not set."


def test_deepgram_without_a_key_is_refused(env_file: Path) -> None:
    message = refusal({"EVAA_STT": "deepgram", "DEEPGRAM_API_KEY": ""}, env_file)
    assert message == "EVAA_STT is deepgram, but DEEPGRAM_API_KEY is not set."


@pytest.mark.parametrize(("eager", "end"), [("0.2", "0.8"), ("0.85", "0.8")])
def test_an_eager_threshold_that_flux_would_refuse(env_file: Path, eager: str, end: str) -> None:
    given = {"EVAA_DEEPGRAM_EAGER_EOT_THRESHOLD": eager, "EVAA_DEEPGRAM_EOT_THRESHOLD": end}
    assert refusal(given, env_file).startswith("EVAA_DEEPGRAM_EAGER_EOT_THRESHOLD ")


def test_eager_ends_can_be_turned_off(env_file: Path) -> None:
    assert load_settings({"EVAA_DEEPGRAM_EAGER_EOT_THRESHOLD": "0"}, env_file).deepgram_eager_eot_threshold == 0


@pytest.mark.parametrize("name", ["EVAA_AUTH_SECRET"])
def test_what_is_not_there_yet_is_refused_without_its_value(env_file: Path, name: str) -> None:
    message = refusal({name: f"mongodb://user:{KEY}@host"}, env_file)
    assert message.startswith(f"{name} is set, but ")
    assert "unset it" in message
    assert load_settings({name: ""}, env_file) == Settings()


@pytest.mark.parametrize("wrong", [f"host:{KEY}", f"http://u:{KEY}@h", f"mongodb://u:{KEY}@h /", "mongodb://"])
def test_an_address_that_is_not_mongodbs_is_refused_without_being_shown(env_file: Path, wrong: str) -> None:
    assert refusal({"MONGODB_URI": wrong}, env_file).startswith("MONGODB_URI is wrong: ")


@pytest.mark.parametrize("wrong", ["a b", "a/b", "a.b", "$a", "x" * 64])
def test_a_name_that_no_database_can_have_is_refused(env_file: Path, wrong: str) -> None:
    assert refusal({"EVAA_MONGODB_DATABASE": wrong}, env_file).startswith("EVAA_MONGODB_DATABASE ")


def test_mongodb_without_an_address_is_refused(env_file: Path) -> None:
    assert refusal({"EVAA_STORE": "mongodb"}, env_file) == "EVAA_STORE is mongodb, but MONGODB_URI is not set."


def test_a_file_that_cannot_be_read_is_refused(env_file: Path) -> None:
    env_file.write_bytes(f"GROQ_API_KEY={KEY}\nEVAA_HOST=\xff\n".encode("latin-1"))
    assert refusal({}, env_file).startswith(f"{env_file} cannot be read: ")


# --- the description --------------------------------------------------------------------------------------------


def test_every_variable_is_described_with_its_default() -> None:
    lines = describe_settings().split("\n")
    assert [line.split(":")[0].strip() for line in lines] == VARIABLES
    assert "  EVAA_PORT: WebSocket port; 0 means any (default 8765)" in lines
    for line in lines:
        assert line.split(": ", 1)[1].strip()


def test_the_example_file_has_every_variable_as_it_is() -> None:
    assert (Path(__file__).resolve().parent.parent / ".env.example").read_text() == example_env()
