"""The settings: the only module that reads the environment. ``docs/configuration.md`` is generated from here.

A wrong value stops the start with its name, what was given and what is allowed.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from sessions.prices import read_prices
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
        "transcripts, replies to sentences that may go on, and at last new calls (503). 0: never.",
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

    # --- phones: Vonage, Genesys, and exchanges of one's own ---
    vonage_signature_secrets: SecretStr = Field(
        SecretStr(""), description="Signature secrets of the Vonage account, separated by commas; all verify."
    )
    vonage_rate_hz: Literal[8000, 16000, 24000] = Field(16000, description="Audio that our answer to Vonage asks for.")
    vonage_payload_hash: bool = Field(
        True, description="Refuse a Vonage webhook whose body is not the one that its token vouches for."
    )
    genesys_keys: SecretStr = Field(
        SecretStr(""), description="Genesys API keys and client secrets (base64), `key:secret`, separated by commas."
    )
    genesys_unsigned: bool = Field(False, description="A Genesys key without a secret (`key:`) may open unsigned.")
    genesys_packet_ms: int = Field(
        200, ge=20, le=1000, multiple_of=20, description="Audio in one message to Genesys, which limits their number."
    )
    jambonz_credentials: SecretStr = Field(
        SecretStr(""), description="`user:password` of the `listen` verb's `wsAuth`."
    )
    jambonz_streaming: bool = Field(
        True, description="The `listen` verb has `bidirectionalAudio.streaming`; else we answer in clips."
    )
    jambonz_output_rate_hz: Literal[0, 8000, 16000, 24000, 48000] = Field(
        0, description="The verb's `bidirectionalAudio.sampleRate`; 0: that of the caller's audio."
    )
    jambonz_marks: bool = Field(True, description="Ask jambonz for marks; some versions return them at once.")
    freeswitch_credentials: SecretStr = Field(
        SecretStr(""), description="`user:password` that FreeSWITCH sends (`STREAM_EXTRA_HEADERS`)."
    )
    freeswitch_rate_hz: Literal[8000, 16000] = Field(
        8000, description="Sampling rate of `uuid_audio_stream`, where neither metadata nor address tell it."
    )
    freeswitch_playback: Literal["raw", "wav", "binary"] = Field(
        "raw", description="How `mod_audio_stream` gets our audio: in clips (open build), or binary (from 1.0.3)."
    )
    freeswitch_clip_ms: int = Field(
        200, ge=40, le=1000, multiple_of=20, description="Length of a clip; nothing stops one that plays."
    )
    freeswitch_fork_streaming: bool = Field(
        True, description="`mod_audio_fork` takes binary audio back; else we answer in clips."
    )
    asterisk_credentials: SecretStr = Field(
        SecretStr(""), description="`user:password` of Asterisk's `websocket_client.conf`."
    )
    asterisk_answer: bool = Field(False, description="We answer the WebSocket channel (dial option `n`).")
    asterisk_buffering: bool = Field(False, description="Use `START_MEDIA_BUFFERING` on the WebSocket channel.")
    asterisk_format: Literal["ulaw", "alaw", "slin", "slin16", "slin24", "slin48"] = Field(
        "ulaw", description="Format of WebSocket channels that do not tell it (first versions)."
    )
    audiosocket: bool = Field(False, description="Listen for Asterisk's AudioSocket.")
    audiosocket_host: str = Field("127.0.0.1", description="Address that AudioSocket listens on. It is not encrypted.")
    audiosocket_port: int = Field(9092, ge=0, le=65535, description="Port of AudioSocket; 0 takes a free one.")
    audiosocket_credentials: SecretStr = Field(
        SecretStr(""), description="`user:password` with which the dial plan asks for a call's UUID."
    )
    audiosocket_open: bool = Field(False, description="Take calls on AudioSocket with any UUID; on loopback only.")
    audiosocket_rate_hz: Literal[0, 8000, 16000, 24000, 48000] = Field(
        8000, description="Audio of AudioSocket; 0: as the first audio that comes."
    )
    audiosocket_types: str = Field(
        "", description="Audio types of an AudioSocket build, such as `0x10=8000,0x11=16000`. Empty: today's table."
    )

    # --- phones ---
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^/?#]+/?)?$",
        description="The gateway's address as phone carriers know it, such as `https://voice.example.com`; part of "
        "what they sign. Empty: taken from each request, for development.",
    )
    phone_numbers: str = Field(
        "",
        description="Agents by the number that was called: `+15551234567=sales,*=default`. Empty: the default agent.",
    )
    phone_echo_gate: bool = Field(
        True, description="Do not take for the caller what comes back of the agent's own voice from a loudspeaker."
    )
    twilio_account_sid: str = Field("", description="Twilio account, for hanging up and transferring.")
    twilio_auth_token: SecretStr = Field(
        SecretStr(""), description="Its auth token: checks webhooks and streams. Empty: calls on loopback only."
    )
    twilio_api_url: str = Field("https://api.twilio.com", pattern=r"^https?://", description="Twilio's REST API.")
    telnyx_public_key: str = Field("", description="Telnyx public key in base64: checks webhooks.")
    telnyx_api_key: SecretStr = Field(SecretStr(""), description="Telnyx API key, for hanging up and transferring.")
    telnyx_api_url: str = Field("https://api.telnyx.com", pattern=r"^https?://", description="Telnyx's REST API.")
    telnyx_stream_token: SecretStr = Field(
        SecretStr(""), description="`stream_auth_token` of streams that are started by Call Control."
    )
    telnyx_codec: Literal["PCMU", "PCMA", "L16", "OPUS"] = Field("PCMU", description="Codec that is sent to Telnyx.")
    telnyx_rate_hz: int = Field(8_000, ge=8_000, le=48_000, description="Its rate: 8000, 16000, 24000 or 48000.")
    telnyx_l16_order: Literal["big", "little"] = Field("big", description="Byte order of Telnyx's L16.")
    plivo_auth_id: str = Field("", description="Plivo account, for hanging up and transferring.")
    plivo_auth_token: SecretStr = Field(
        SecretStr(""), description="Its auth token: checks webhooks. Empty: calls on loopback only."
    )
    plivo_api_url: str = Field("https://api.plivo.com", pattern=r"^https?://", description="Plivo's REST API.")
    plivo_content_type: Literal["audio/x-mulaw;rate=8000", "audio/x-l16;rate=8000", "audio/x-l16;rate=16000"] = Field(
        "audio/x-mulaw;rate=8000", description="Audio that is asked of Plivo."
    )
    plivo_l16_order: Literal["big", "little"] = Field("little", description="Byte order of Plivo's L16.")
    exotel_username: str = Field("", description="User name in the address that Exotel's applet has.")
    exotel_password: SecretStr = Field(
        SecretStr(""), description="Password in that address. Empty: calls on loopback only."
    )

    # --- control API ---
    role: Literal["gateway", "control", "all"] = Field(
        "gateway", description="What runs: the gateway, the control API, or both in one process."
    )
    database_url: SecretStr = Field(
        SecretStr(""),
        validation_alias="DATABASE_URL",
        description="PostgreSQL of the control API, `postgresql://…`, as the owner of its tables. Empty: an embedded "
        "one is started.",
    )
    api_host: str = Field("127.0.0.1", description="Address the control API listens on.")
    api_port: int = Field(8001, ge=0, le=65535, description="Port of the control API; 0 takes a free one.")
    api_origins: str = Field(
        "", description="Origins of web pages that may read the control API's answers, separated by commas."
    )
    api_rate: float = Field(100.0, gt=0, description="Requests a second of one user or API key in the long run.")
    stale_s: float = Field(
        3600.0,
        ge=0,
        le=86_400,
        description="How long answers of the control API are kept in Redis, to be given, marked as old, while the "
        "database is away. 0: none is kept.",
    )
    grace_s: float = Field(
        900.0,
        ge=0,
        le=86_400,
        description="While the database or an issuer is away: so long after they were verified last, users, API keys "
        "and tokens may go on reading.",
    )
    issuer_key: SecretStr = Field(
        SecretStr(""),
        description="Private key that signs access tokens, EC on P-256, as PEM or JWK. Empty: one is kept in the data "
        "folder.",
    )
    tools_private_hosts: bool = Field(
        False, description="Tools of agents may call addresses of private networks, and without TLS: for local use."
    )
    credits: bool = Field(True, description="Calls to published agents cost their organisation credits.")
    credits_hold: float = Field(
        2.0,
        ge=0.01,
        le=1_000_000,
        description="Credits set aside for a call, and again when half of them are used up. While the database is "
        "away, a call lives on this.",
    )
    credits_prices: str = Field(
        "",
        description="Changes of the price table, `stage/provider/unit=micro-credits`, separated by commas, such as "
        "`tts/elevenlabs/characters=300`. A credit is 1,000,000 micro-credits; POST /credits/estimate shows the table.",
    )
    credits_warning: str = Field(
        "Just so you know: the credit for this call is nearly used up.",
        max_length=500,
        description="What the agent says when little is left.",
    )
    credits_farewell: str = Field(
        "The credit for this call is used up, so I have to end it here. Thank you for calling. Goodbye.",
        max_length=500,
        description="What it says when the credits are used up and the call ends.",
    )
    issuers: SecretStr = Field(
        SecretStr(""), description="Other issuers of tokens that are trusted, as JSON: see control-api.md."
    )
    admin_email: str = Field(
        "admin@voicegate.local", pattern=r"^\S+@\S+$", description="The first user of an empty database."
    )
    admin_password: SecretStr = Field(
        SecretStr(""),
        description="His password. Empty: one is made and shown once for the embedded database, and no user is made in "
        "any other.",
    )
    home_organization: str = Field(
        "",
        pattern=r"^($|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$)",
        description="Organisation (its id) that keeps the conversations of calls to no published agent. Empty: the "
        "first one of the embedded database; none of any other.",
    )

    # --- logs ---
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto`: console on a terminal, else JSON lines."
    )
    log_pii: bool = Field(False, description="Log what people say, under the key `pii`.")

    @field_validator(
        "vonage_rate_hz", "jambonz_output_rate_hz", "freeswitch_rate_hz", "audiosocket_rate_hz", mode="before"
    )
    @classmethod
    def _number(cls, given: object) -> object:
        """The environment has text only, and a choice among numbers takes no text for one."""
        return int(given) if isinstance(given, str) and given.isascii() and given.isdigit() else given

    @field_validator("credits_prices")
    @classmethod
    def _prices(cls, given: str) -> str:
        read_prices(given)
        return given

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
    shown = "" if any(word in known.lower() for word in ("key", "secret", "credentials")) else f"={given!r}"
    return f"{known}{shown}: {problem['msg']}"
