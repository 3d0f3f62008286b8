"""The settings: the only module that reads the environment. ``docs/configuration.md`` is generated from here.

A wrong value stops the start with its name, what was given and what is allowed.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from voicegate.kernel.errors import ConfigError

_LEAST_SECRET_BYTES = 16
"""What :class:`gateway.tokens.TokenVerifier` takes at least."""


class Settings(BaseSettings):
    """One field a variable. Names in the environment are the aliases, in capitals."""

    model_config = SettingsConfigDict(env_prefix="VOICEGATE_", extra="ignore", env_ignore_empty=True, frozen=True)

    # --- where it listens ---
    host: str = Field("127.0.0.1", description="Address to listen on. Beyond loopback every call needs a token.")
    port: int = Field(8000, ge=0, le=65535, description="Port of the gateway; 0 takes a free one.")
    data_dir: Path = Field(Path(".voicegate"), description="Folder of the embedded Redis and of recordings.")
    redis_url: str = Field(
        "",
        validation_alias="REDIS_URL",
        pattern=r"^($|rediss?://|unix://)",
        description="Redis to use (`redis://`, `rediss://` or `unix://`). Empty: an embedded one is started.",
    )

    # --- engines ---
    vad: Literal["silero", "webrtc"] = Field("silero", description="Voice activity detection.")
    stt: Literal["moonshine", "faster-whisper", "openai"] = Field("moonshine", description="Speech to text.")
    agent: Literal["local", "openai"] = Field(
        "local", description="Who answers: the local agent, or a model behind an OpenAI-compatible endpoint."
    )
    tts: Literal["auto", "flite", "espeak", "elevenlabs", "elevenlabs-http", "openai"] = Field(
        "auto", description="Text to speech. `auto`: flite where libflite1 is installed, else espeak."
    )
    stt_workers: int = Field(2, ge=1, le=64, description="Utterances transcribed at the same time.")
    stt_model: str = Field(
        "",
        description="Local folder or name of a faster-whisper model, or the OpenAI model (default: the adapter's).",
    )
    agent_model: str = Field("gpt-4o-mini", description="Model of the OpenAI-compatible endpoint.")
    tts_model: str = Field("", description="ElevenLabs or OpenAI speech model; empty: the adapter's default.")
    voice: str = Field("", description="Voice; empty: the engine's default. flite: `rms`, `slt`, `awb`.")
    language: str = Field("en", pattern=r"^[a-z]{2}$", description="Language of the callers, ISO 639-1.")
    openai_base_url: str = Field(
        "https://api.openai.com/v1",
        validation_alias="OPENAI_BASE_URL",
        pattern=r"^https?://",
        description="OpenAI-compatible endpoint for `openai` engines.",
    )
    openai_api_key: SecretStr = Field(SecretStr(""), validation_alias="OPENAI_API_KEY", description="Its key.")
    elevenlabs_base_url: str = Field(
        "https://api.elevenlabs.io",
        validation_alias="ELEVENLABS_BASE_URL",
        pattern=r"^https?://",
        description="ElevenLabs endpoint.",
    )
    elevenlabs_api_key: SecretStr = Field(SecretStr(""), validation_alias="ELEVENLABS_API_KEY", description="Its key.")

    # --- turn taking ---
    speculate: bool = Field(True, description="Work on a reply before the caller's turn is over.")
    endpointing_ms: int = Field(
        260, ge=0, le=5000, description="Silence after a surely finished sentence before the agent answers."
    )
    idle_s: float = Field(
        12.0, ge=0, le=600, description="Silence before the agent asks whether somebody is there; 0: never."
    )
    record_turns: bool = Field(
        False, description="Write every call's turn events to `turns/` in the data folder, for replay."
    )

    # --- who may call, and how much ---
    allow_anonymous: bool = Field(
        False,
        description="Take calls without a token when listening beyond loopback too (on loopback they are always).",
    )
    token_secret: SecretStr = Field(SecretStr(""), description="Secret that signs call tokens (16 bytes or more).")
    api_keys: SecretStr = Field(SecretStr(""), description="Keys that may call, separated by commas.")
    allowed_origins: str = Field(
        "", description="Origins of web pages that may call, separated by commas. The gateway's own is always allowed."
    )
    max_calls: int = Field(200, ge=1, le=100_000, description="Calls at the same time; one more is refused with 503.")
    late_ms: float = Field(
        15.0,
        ge=0,
        le=1000,
        description="High load: every tenth tick of the 20 ms clock is later than this. Then the process sheds interim "
        "transcripts, speculation, and at last new calls (503). 0: never.",
    )
    drain_s: float = Field(
        20.0,
        ge=0,
        le=3600,
        description="After SIGTERM calls may go on for so long; then their clients are told to resume elsewhere, each "
        "at its next turn boundary. A second signal, or Ctrl-C, ends at once.",
    )
    max_call_s: float = Field(3600.0, ge=1, description="Longest call.")
    resume_s: float = Field(60.0, ge=0, le=3600, description="How long a call waits for a client that lost its socket.")
    retention_s: float = Field(86_400.0, ge=60, description="How long a session stays in Redis after its last event.")

    # --- WebRTC ---
    webrtc_hosts: str = Field(
        "",
        description="Addresses that take WebRTC media, separated by commas. Empty: loopback where the gateway listens "
        "there, else those of the interfaces it listens on.",
    )
    webrtc_ports: str = Field(
        "", pattern=r"^(\d{1,5}-\d{1,5})?$", description="UDP ports of WebRTC media, `first-last`. Empty: any free one."
    )
    webrtc_public_address: str = Field(
        "", description="IPv4 address that callers reach, where a router maps it to this machine's one to one."
    )
    webrtc_allow_loopback: bool = Field(
        False, description="Send connectivity checks to loopback addresses although the gateway listens elsewhere."
    )
    webrtc_denied: str = Field(
        "", description="Networks that no connectivity check is sent to, such as `10.0.0.0/8`, separated by commas."
    )
    ice_servers: str = Field(
        "",
        description="STUN and TURN servers that callers are told, such as `turn:turn.example.com:3478?transport=udp`.",
    )
    turn_secret: SecretStr = Field(
        SecretStr(""), description="Secret shared with the TURN servers; makes each caller's short-lived credentials."
    )

    # --- logs ---
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto`: console on a terminal, else JSON lines."
    )
    log_pii: bool = Field(False, description="Log what people say, under the key `pii`.")

    @field_validator("token_secret", "api_keys")
    @classmethod
    def _long_enough(cls, given: SecretStr, info: ValidationInfo) -> SecretStr:
        text = given.get_secret_value()
        parts = text.split(",") if info.field_name == "api_keys" else [text]
        if any(part.strip() and len(part.strip().encode()) < _LEAST_SECRET_BYTES for part in parts):
            raise ValueError(f"secrets and keys have {_LEAST_SECRET_BYTES} bytes or more")
        return given


def load(**overrides: object) -> Settings:
    """The settings from the environment, ``overrides`` (of the command line) first.

    Raises:
        ConfigError: a value is not allowed. The message has one line a wrong setting.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigError("\n".join(_complaint(dict(problem)) for problem in error.errors())) from None


def variable(name: str) -> str:
    """The environment variable of a field."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"VOICEGATE_{name.upper()}"


def _complaint(problem: dict[str, object]) -> str:
    location = problem["loc"]
    name = str(location[0]) if isinstance(location, tuple) and location else "?"
    known = name if name not in Settings.model_fields else variable(name)
    given = problem.get("input")
    shown = "" if any(word in known.lower() for word in ("key", "secret")) else f"={given!r}"
    return f"{known}{shown}: {problem['msg']}"


def table() -> str:
    """The settings as a Markdown table: the body of ``docs/configuration.md``."""
    rows = ["| variable | default | allowed | meaning |", "| --- | --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = field.get_default()
        shown = "" if isinstance(default, SecretStr) else str(default)
        rows.append(f"| `{variable(name)}` | `{shown}` | {_allowed(name)} | {field.description} |")
    return "\n".join(rows) + "\n"


def _allowed(name: str) -> str:
    schema = Settings.model_json_schema(by_alias=False)["properties"][name]
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "pattern" in schema:
        return f"`{schema['pattern']}`".replace("|", "\\|")
    bounds = [f"{sign} {schema[key]}" for key, sign in (("minimum", "≥"), ("maximum", "≤")) if key in schema]
    kind = {"integer": "whole number", "number": "number", "boolean": "`true`, `false`"}.get(
        schema.get("type", ""), "text"
    )
    return " ".join([kind, ", ".join(bounds)]).strip()
