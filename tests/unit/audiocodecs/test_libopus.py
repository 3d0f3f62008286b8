"""libopus itself: audio survives, losses are filled, and no bytes do more harm than an error."""

import ctypes
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodecs import libopus
from audiocodecs.libopus import Decoder, Encoder, OpusMissing, has_fec
from audiocodecs.opus import packet_samples
from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import AudioError

FRAME = 320


def packets_of(voice: Samples, encoder: Encoder) -> list[bytes]:
    size = encoder.rate_hz // 50
    return [encoder.encode(frame) for frame in voice[: voice.size // size * size].reshape(-1, size)]


def likeness(one: Samples, other: Samples) -> float:
    size = min(one.size, other.size)
    return float(np.corrcoef(one[:size].astype(float), other[:size].astype(float))[0, 1])


@pytest.fixture(scope="module")
def protected(voice: Samples) -> list[bytes]:
    encoder = Encoder(fec=True, bit_rate=32_000)
    encoder.expect_loss(20)
    return packets_of(voice, encoder)


def test_a_voice_survives_with_the_delay_of_the_look_ahead(voice: Samples) -> None:
    encoder, decoder = Encoder(), Decoder()
    heard = np.concatenate([decoder.decode(packet) for packet in packets_of(voice, encoder)])
    assert heard.size == voice.size
    best = max(range(200), key=lambda late: likeness(heard[late:], voice))
    assert best == pytest.approx(encoder.lookahead_samples, abs=16)  # and a millisecond inside the decoder
    assert likeness(heard[best:], voice) > 0.8  # a speech coder keeps how it sounds, not its waveform


@pytest.mark.parametrize("rate_hz", libopus.RATES_HZ)
def test_every_rate_of_the_encoder_becomes_frames_of_the_decoders_own(rate_hz: int) -> None:
    encoder, decoder = Encoder(rate_hz), Decoder(16_000)
    packet = encoder.encode(np.zeros(rate_hz // 50, np.int16))
    assert decoder.decode(packet).shape == (FRAME,)
    assert packet_samples(packet) == 960


def test_a_copy_is_returned_and_not_the_buffer(voice: Samples) -> None:
    decoder, encoder = Decoder(), Encoder()
    first, second = packets_of(voice[: 2 * FRAME], encoder)
    kept = decoder.decode(first)
    before = kept.copy()
    decoder.decode(second)
    assert np.array_equal(kept, before)


def test_a_quiet_gain_halves_the_voice(voice: Samples, protected: list[bytes]) -> None:
    plain = np.concatenate([each for decoder in [Decoder()] for each in map(decoder.decode, protected)]).astype(float)
    halved = np.concatenate([each for decoder in [Decoder(gain=-1541)] for each in map(decoder.decode, protected)])
    assert np.sqrt(np.mean(halved.astype(float) ** 2) / np.mean(plain**2)) == pytest.approx(0.5, abs=0.01)


def test_a_lost_packet_is_in_the_next_one(protected: list[bytes]) -> None:
    """The second copy is nearer to what was lost than concealment is."""
    whole, copied, guessed = Decoder(), Decoder(), Decoder()
    errors = {"copied": 0.0, "guessed": 0.0}
    lost = [number for number in range(4, 48, 3) if has_fec(protected[number + 1])]
    assert len(lost) >= 5
    for number, packet in enumerate(protected[:49]):
        truth = whole.decode(packet).astype(float)
        if number in lost:
            errors["copied"] += float(np.sum((copied.decode_fec(protected[number + 1], FRAME) - truth) ** 2))
            errors["guessed"] += float(np.sum((guessed.conceal(FRAME) - truth) ** 2))
        else:
            copied.decode(packet)
            guessed.decode(packet)
    assert errors["copied"] < errors["guessed"] / 2


def test_no_copy_is_sent_where_no_loss_is_expected(voice: Samples) -> None:
    assert not any(map(has_fec, packets_of(voice, Encoder(fec=True))))


def test_the_flag_of_the_second_copy_is_libopus_own(protected: list[bytes], voice: Samples) -> None:
    """Newer versions can be asked; older ones, which distributions have, cannot."""
    ask = getattr(libopus.library(), "opus_packet_has_lbrr", None)
    if ask is None:
        pytest.skip("this libopus does not tell")
    ask.argtypes = [ctypes.c_char_p, ctypes.c_int32]
    high = packets_of(np.tile(voice, 3), Encoder(48_000, bit_rate=96_000))
    for packet in protected + high:
        assert has_fec(packet) == bool(ask(packet, len(packet)))


@pytest.mark.parametrize(
    "packet",
    [b"", b"\x48", b"\x80\xff", b"\x4b", b"\x4b\x00", b"\x4b\x81\x00", b"\x48\x00", b"\x4a\xff", b"\x49\x00"],
    ids=lambda packet: packet.hex() or "empty",
)
def test_no_second_copy_in_what_is_no_speech(packet: bytes) -> None:
    assert not has_fec(packet)


def test_concealment_fades_out(protected: list[bytes]) -> None:
    decoder = Decoder()
    for packet in protected[:30]:
        decoder.decode(packet)
    level = [int(np.abs(decoder.conceal(FRAME).astype(int)).max()) for _ in range(12)]
    assert level[0] > 10 * level[-1]


def test_a_pause_needs_next_to_no_bytes(voice: Samples) -> None:
    encoder = Encoder(dtx=True)
    packets_of(voice, encoder)
    silence = [len(encoder.encode(np.zeros(FRAME, np.int16))) for _ in range(20)]
    assert max(silence[-5:]) <= 2


def test_reset_forgets_everything(voice: Samples) -> None:
    encoder, decoder = Encoder(), Decoder()
    first = packets_of(voice[:3200], encoder)
    heard = [decoder.decode(packet).tolist() for packet in first]
    encoder.reset()
    decoder.reset()
    assert packets_of(voice[:3200], encoder) == first
    assert [decoder.decode(packet).tolist() for packet in first] == heard


# --- hostile and mistaken input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x4b",  # code 3 without a count
        b"\x4b\x00",  # no frames
        b"\x4b\x3f" + bytes(63),  # 63 frames of 20 ms
        b"\x5b\x03" + bytes(3),  # three frames of 60 ms: 180 ms
        b"\x4a\xff",  # a length that is cut
        b"\x49\x00\x00\x00",  # two equal frames of an odd number of bytes
        b"\x4a\x09\x00",  # a first frame longer than the packet
        b"\x4b\x41\xff\xff\xff",  # padding longer than the packet
    ],
    ids=lambda packet: packet[:4].hex() or "empty",
)
def test_what_is_no_packet_is_refused_and_leaves_the_decoder_as_it_was(packet: bytes, protected: list[bytes]) -> None:
    struck, spared = Decoder(), Decoder()
    for good in protected[:5]:
        struck.decode(good)
        spared.decode(good)
    with pytest.raises(AudioError):
        struck.decode(packet)
    with pytest.raises(AudioError):
        struck.decode_fec(packet, FRAME)
    assert np.array_equal(struck.decode(protected[5]), spared.decode(protected[5]))


@given(packet=st.binary(max_size=1_500))
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_audio_or_an_error(packet: bytes) -> None:
    decoder = Decoder()
    try:
        heard = decoder.decode(packet)
    except AudioError:
        return
    assert heard.size == packet_samples(packet) // 3
    assert decoder.decode_fec(packet, FRAME).size == FRAME
    assert has_fec(packet) in (True, False)


@given(
    packets=st.lists(st.binary(min_size=1, max_size=1_500), max_size=8), gap=st.integers(1, 48).map(lambda n: n * 40)
)
@settings(deadline=None, max_examples=50)
def test_any_order_of_calls_is_survived(packets: list[bytes], gap: int) -> None:
    decoder = Decoder()
    for packet in packets:
        for call in (decoder.decode, lambda bytes_: decoder.decode_fec(bytes_, gap)):
            try:
                call(packet)
            except AudioError:
                continue
        assert decoder.conceal(gap).size == gap


@pytest.mark.parametrize("samples", [0, -40, 39, 1_921, 1_960, 4_000])
def test_a_gap_that_opus_cannot_fill_is_refused(samples: int) -> None:
    with pytest.raises(AudioError, match="gap"):
        Decoder().conceal(samples)
    with pytest.raises(AudioError, match="gap"):
        Decoder().decode_fec(b"\x48\x00\x00", samples)


@pytest.mark.parametrize("samples", [0, 319, 321, 640])
def test_only_frames_are_encoded(samples: int) -> None:
    with pytest.raises(AudioError, match="frame"):
        Encoder().encode(np.zeros(samples, np.int16))


def test_values_that_opus_does_not_take_are_refused() -> None:
    with pytest.raises(AudioError):
        Encoder(44_100)
    with pytest.raises(AudioError):
        Decoder(11_025)
    with pytest.raises(AudioError):
        Encoder(complexity=11)
    with pytest.raises(AudioError):
        Encoder().expect_loss(101)
    with pytest.raises(AudioError):
        Encoder().set_bit_rate(-5)


# --- finding the library ------------------------------------------------------------------------------------------


def test_it_says_which_version_it_is() -> None:
    assert libopus.version().startswith("libopus 1.")


@pytest.mark.parametrize("place", [None, "nowhere"], ids=["no package av", "no library beside it"])
def test_without_a_library_the_error_names_the_package_to_install(
    place: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = None if place is None else ModuleSpec("av", None, origin=str(tmp_path / "av" / "__init__.py"))
    monkeypatch.setattr(libopus, "find_spec", lambda name: spec)
    monkeypatch.setattr(libopus, "find_library", lambda name: None)
    with pytest.raises(OpusMissing, match="libopus0"):
        libopus.library.__wrapped__()


def test_a_library_that_does_not_load_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "av.libs").mkdir()
    (tmp_path / "av.libs" / "libopus-broken.so").write_bytes(b"not a library")
    spec = ModuleSpec("av", None, origin=str(tmp_path / "av" / "__init__.py"))
    monkeypatch.setattr(libopus, "find_spec", lambda name: spec)
    monkeypatch.setattr(libopus, "find_library", lambda name: None)
    with pytest.raises(OpusMissing):
        libopus.library.__wrapped__()


def test_a_packet_whose_first_frame_is_empty_carries_no_copy() -> None:
    assert not has_fec(b"\x02\x00\xaa")


def test_without_its_model_of_the_voice_libopus_codes_the_spectrum() -> None:
    """RFC 6716 §3.1: configurations 0 to 11 are SILK, from 16 on CELT."""
    encoder = Encoder(16_000, bit_rate=32_000, complexity=0, fec=True)
    frames = (8000 * np.sin(np.arange(320 * 5) * 0.05)).astype(np.int16).reshape(-1, 320)
    configurations = []
    for model in (True, False, True):
        encoder.model_voice(model)
        configurations.append([encoder.encode(frame)[0] >> 3 for frame in frames][-1])
    assert configurations[0] == configurations[2] < 12
    assert configurations[1] >= 16
