"""What carriers let us do with a call by HTTP: end it, and hand it to a number."""

from typing import Any, Final, Protocol

import aiohttp

from voicegate.kernel.errors import ProviderError, ProviderRefused, ProviderTimeout

_TIMEOUT: Final = aiohttp.ClientTimeout(total=5.0)
_MAX_ANSWER_BYTES: Final = 64 * 1024


class CarrierApi(Protocol):
    """One carrier's REST API. Ending a call that has ended is fine.

    Raises:
        ProviderError: both methods; the carrier did not answer, or refused.
    """

    async def hang_up(self, call_id: str) -> None: ...

    async def transfer(self, call_id: str, number: str, *, dial_url: str) -> None:
        """Cold transfer: connect the caller with ``number`` (digits, with or without a plus) and let go.

        ``dial_url`` answers once with the verb that dials ``number``, for carriers that fetch it.
        """
        ...


async def ask(provider: str, method: str, url: str, *, gone: tuple[int, str] = (404, ""), **options: Any) -> None:
    """One request. An answer with the status and the text of ``gone`` says that the call has ended.

    Raises:
        ProviderTimeout: no answer within 5 s.
        ProviderRefused: 4xx. ProviderError: 5xx, or no connection.
    """
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as http,
            http.request(method, url, allow_redirects=False, **options) as response,
        ):
            body = await response.content.read(_MAX_ANSWER_BYTES)
            status = response.status
    except TimeoutError:
        raise ProviderTimeout(provider, "its REST API did not answer within 5 s") from None
    except aiohttp.ClientError as error:
        raise ProviderError(provider, f"its REST API: {type(error).__name__}", retryable=True) from error
    if status < 300 or (status == gone[0] and gone[1].encode() in body):
        return
    if status >= 500:
        raise ProviderError(provider, f"its REST API answered {status}", retryable=True)
    raise ProviderRefused(provider, f"its REST API answered {status}")
