"""The phone carriers of a running application: settings in, the phone doors' parts out."""

from gateway.conversation import Calls
from gateway.phone.auto import auto
from gateway.phone.capability import Capabilities, Notes
from gateway.phone.exotel.carrier import ExotelConfig, exotel
from gateway.phone.numbers import NumberPlan, read_numbers
from gateway.phone.parts import PhoneParts
from gateway.phone.plivo.api import PlivoApi
from gateway.phone.plivo.carrier import PlivoConfig, plivo
from gateway.phone.protocol import Carrier
from gateway.phone.reception import Reception
from gateway.phone.rest import CarrierApi
from gateway.phone.telnyx.api import TelnyxApi
from gateway.phone.telnyx.carrier import TelnyxConfig, telnyx
from gateway.phone.twilio.api import TwilioApi
from gateway.phone.twilio.carrier import TwilioConfig, twilio
from voicegate.exchanges import audiosocket_carriers, exchange_carriers
from voicegate.kernel.errors import ConfigError
from voicegate.settings import Settings, variable

_RETURN_S = 30.0
"""Longer than a call waits for its stream: its place is taken until then."""


def phone_parts(settings: Settings, calls: Calls, notes: Notes) -> PhoneParts:
    """Raises ConfigError: a carrier's setting is wrong."""
    hold_s = settings.max_call_s + settings.resume_s
    capabilities = Capabilities(notes, hold_s=hold_s, wait_s=settings.resume_s + _RETURN_S)
    numbers = _numbers(settings)
    return PhoneParts(
        carriers(settings),
        capabilities,
        Reception(calls, capabilities, numbers, echo_gate=settings.phone_echo_gate),
        numbers,
        _apis(settings),
        public_url=settings.public_url.rstrip("/"),
    )


def carriers(settings: Settings) -> dict[str, Carrier]:
    """All that this gateway speaks, by name."""
    detected = (_twilio(settings), _telnyx(settings), _plivo(settings), _exotel(settings))
    others = (*exchange_carriers(settings), *audiosocket_carriers(settings))
    return {carrier.name: carrier for carrier in (*detected, auto(detected), *others)}


def _numbers(settings: Settings) -> NumberPlan:
    try:
        return read_numbers(settings.phone_numbers)
    except ConfigError as error:
        raise ConfigError(f"{variable('phone_numbers')}: {error}") from error


def _apis(settings: Settings) -> dict[str, CarrierApi]:
    """Those whose accounts are set up."""
    apis: dict[str, CarrierApi] = {}
    if settings.twilio_account_sid and settings.twilio_auth_token.get_secret_value():
        apis["twilio"] = TwilioApi(_twilio_config(settings))
    if settings.telnyx_api_key.get_secret_value():
        apis["telnyx"] = TelnyxApi(_telnyx_config(settings))
    if settings.plivo_auth_id and settings.plivo_auth_token.get_secret_value():
        apis["plivo"] = PlivoApi(_plivo_config(settings))
    return apis


def _twilio(settings: Settings) -> Carrier:
    return twilio(_twilio_config(settings))


def _twilio_config(settings: Settings) -> TwilioConfig:
    token = settings.twilio_auth_token.get_secret_value()
    return TwilioConfig(settings.twilio_account_sid, token, settings.twilio_api_url)


def _telnyx(settings: Settings) -> Carrier:
    try:
        return telnyx(_telnyx_config(settings))
    except ConfigError as error:
        raise ConfigError(f"{variable('telnyx_public_key')}, {variable('telnyx_codec')}: {error}") from error


def _telnyx_config(settings: Settings) -> TelnyxConfig:
    return TelnyxConfig(
        settings.telnyx_public_key,
        settings.telnyx_api_key.get_secret_value(),
        settings.telnyx_api_url,
        settings.telnyx_stream_token.get_secret_value(),
        settings.telnyx_codec,
        settings.telnyx_rate_hz,
        settings.telnyx_l16_order,
    )


def _plivo(settings: Settings) -> Carrier:
    return plivo(_plivo_config(settings))


def _plivo_config(settings: Settings) -> PlivoConfig:
    return PlivoConfig(
        settings.plivo_auth_id,
        settings.plivo_auth_token.get_secret_value(),
        settings.plivo_api_url,
        settings.plivo_content_type,
        settings.plivo_l16_order,
    )


def _exotel(settings: Settings) -> Carrier:
    return exotel(ExotelConfig(settings.exotel_username, settings.exotel_password.get_secret_value()))
