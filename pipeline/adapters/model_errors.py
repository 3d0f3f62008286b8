"""One table from what the OpenAI SDKs raise to our error tree."""

import json

import httpx2
import openai
from agents import exceptions as sdk

from voicegate.kernel.errors import ProviderError, ProviderRefused, ProviderTimeout

_REFUSED = frozenset({400, 401, 403, 404, 413, 422})
"""Statuses that no second attempt with the same request can mend."""


def provider_error(provider: str, error: Exception) -> ProviderError:
    """``error`` as a :class:`ProviderError`; the caller raises it ``from error``.

    Quota that is used up comes as status 429 with the code ``insufficient_quota`` (OpenAI's error codes) and is
    refused; any other 429 is a rate limit and may be retried.
    """
    match error:
        case ProviderError():
            return error
        case openai.APITimeoutError() | httpx2.TimeoutException() | sdk.ModelTimeoutError() | TimeoutError():
            return ProviderTimeout(provider, f"no answer in time ({type(error).__name__})")
        case openai.APIStatusError():
            return _by_status(provider, error)
        case openai.APIConnectionError() | httpx2.TransportError() | ConnectionError():
            return ProviderError(provider, f"connection failed ({error})", retryable=True)
        case openai.APIError():  # an error object inside the stream
            return ProviderError(provider, error.message, retryable=True)
        case json.JSONDecodeError() | openai.APIResponseValidationError() | sdk.ModelBehaviorError():
            return ProviderError(provider, f"answer that makes no sense ({error})", retryable=True)
        case sdk.InputGuardrailTripwireTriggered() | sdk.OutputGuardrailTripwireTriggered():
            return ProviderRefused(provider, f"stopped by a guardrail ({type(error).__name__})")
        case _:
            return ProviderError(provider, f"{type(error).__name__}: {error}", retryable=False)


def _by_status(provider: str, error: openai.APIStatusError) -> ProviderError:
    message = f"status {error.status_code}: {error.message}"
    if error.status_code in _REFUSED or error.code == "insufficient_quota":
        return ProviderRefused(provider, message)
    if error.status_code in (408, 504):
        return ProviderTimeout(provider, message)
    return ProviderError(provider, message, retryable=True)
