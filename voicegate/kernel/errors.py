"""The error tree. Every error has a stable ``code``; each edge translates by one table.

::

    VoicegateError                  code
     +-- ConfigError                config_invalid       a setting is wrong: named, with what is allowed
     +-- AudioError                 audio_invalid        bytes that are not the audio they claim to be
     |    +-- AudioTooLarge         audio_too_large      decoded size above the bound
     +-- ProviderError              provider_failed      an outside vendor or engine failed (retryable or not)
     |    +-- ProviderTimeout       provider_timeout     it did not answer in time
     |    +-- ProviderRefused       provider_refused     it refused us: key, quota, input (never retried)
     +-- StateUnavailable           state_unavailable    Redis is away
     +-- LeaseLost                  lease_lost           another process owns the session now
     +-- RefusedCall                refused              a call that admission will not take
"""


class VoicegateError(Exception):
    """Root of all errors that voicegate raises on purpose."""

    code = "internal"


class ConfigError(VoicegateError):
    """A setting is wrong. The message names the setting, its value and what is allowed."""

    code = "config_invalid"


class AudioError(VoicegateError, ValueError):
    """Bytes that are not the audio they claim to be."""

    code = "audio_invalid"


class AudioTooLarge(AudioError):
    """The decoded audio would exceed the caller's bound."""

    code = "audio_too_large"


class ProviderError(VoicegateError):
    """An outside vendor or a speech engine failed."""

    code = "provider_failed"

    def __init__(self, provider: str, message: str, *, retryable: bool) -> None:
        super().__init__(f"{provider}: {message}")
        self.provider = provider
        self.retryable = retryable


class ProviderTimeout(ProviderError):
    """The provider did not answer in time. Always retryable."""

    code = "provider_timeout"

    def __init__(self, provider: str, message: str) -> None:
        super().__init__(provider, message, retryable=True)


class ProviderRefused(ProviderError):
    """The provider refused us (key, quota, input). Never retryable."""

    code = "provider_refused"

    def __init__(self, provider: str, message: str) -> None:
        super().__init__(provider, message, retryable=False)


class StateUnavailable(VoicegateError):
    """The state store is away."""

    code = "state_unavailable"


class LeaseLost(VoicegateError):
    """Another process owns the session now; ours must stop writing."""

    code = "lease_lost"


class RefusedCall(VoicegateError):
    """Admission will not take this call. ``code`` says why."""

    code = "refused"

    def __init__(self, code: str, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_s = retry_after_s
