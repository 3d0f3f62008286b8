import numpy as np
import pytest

from audiocodecs import g711
from audiocodecs.opus import packet_samples
from audiocodecs.registry import FORMATS, open_decoder, open_encoder
from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import AudioError, AudioTooLarge

PAIRS = [(form, rate_hz) for form, rates in FORMATS.items() for rate_hz in rates]
PACKET_BYTES = {"pcm16": 2, "l16": 2, "pcmu": 1, "pcma": 1}


@pytest.mark.parametrize(("form", "rate_hz"), PAIRS)
def test_a_tone_goes_out_and_comes_back(form: str, rate_hz: int) -> None:
    source = np.rint(8000 * np.sin(2 * np.pi * 1000 * np.arange(rate_hz) / rate_hz)).astype(np.int16)
    encoder, decoder = open_encoder(form, rate_hz), open_decoder(form, rate_hz)
    assert encoder.rate_hz == rate_hz
    sent = [packet for piece in np.array_split(source, 33) for packet in encoder.push(piece)] + encoder.flush()
    parts = [decoder.push(packet) for packet in sent]
    out = np.concatenate([*parts, decoder.flush()])
    assert out.dtype == np.int16
    assert 16_000 <= out.size <= 16_000 + 640
    middle = out[2_000:14_000].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size)))
    assert spectrum.argmax() == 750  # 12000 samples of 1 kHz at 16 kHz
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(8000, rel=0.1)


@pytest.mark.parametrize(("form", "rate_hz"), PAIRS)
def test_every_packet_is_20_ms(form: str, rate_hz: int) -> None:
    packets = open_encoder(form, rate_hz).push(np.zeros(rate_hz // 10, np.int16))
    assert len(packets) == 5
    for packet in packets:
        if form == "opus":
            assert packet_samples(packet) == 960
        else:
            assert len(packet) == rate_hz // 50 * PACKET_BYTES[form]


def test_the_names_mean_what_they_say() -> None:
    samples = np.arange(-160, 160, dtype=np.int16)
    assert open_encoder("pcm16", 16_000).push(samples) == [samples.astype("<i2").tobytes()]
    assert open_encoder("l16", 16_000).push(samples) == [samples.astype(">i2").tobytes()]
    assert open_encoder("pcmu", 16_000).push(samples) == [g711.ulaw_encode(samples)]
    assert open_encoder("pcma", 16_000).push(samples) == [g711.alaw_encode(samples)]


def test_half_a_sample_waits_for_its_other_half() -> None:
    decoder = open_decoder("pcm16", 16_000)
    assert decoder.push(b"\x01").size == 0
    assert decoder.push(b"\x02\x03").tolist() == [0x0201]


@pytest.mark.parametrize("form", ["pcm16", "l16", "pcmu", "pcma"])
def test_a_message_is_bounded(form: str) -> None:
    decoder = open_decoder(form, 8_000, max_samples=320)
    largest = bytes(160 * PACKET_BYTES[form])
    decoder.push(largest)
    with pytest.raises(AudioTooLarge):
        decoder.push(largest + b"\0")


def test_an_opus_message_is_bounded(voice: Samples) -> None:
    packet = open_encoder("opus", 16_000).push(voice[:320])[0]
    open_decoder("opus", 48_000, max_samples=320).push(packet)
    with pytest.raises(AudioTooLarge):
        open_decoder("opus", 48_000, max_samples=319).push(packet)


@pytest.mark.parametrize(("form", "rate_hz"), [("mp3", 16_000), ("pcm16", 44_100), ("pcmu", 24_000), ("", 0)])
def test_what_is_not_supported_is_refused_with_what_is(form: str, rate_hz: int) -> None:
    for opening in (open_decoder, open_encoder):
        with pytest.raises(AudioError, match="pcm16 at 8000, 16000"):
            opening(form, rate_hz)
