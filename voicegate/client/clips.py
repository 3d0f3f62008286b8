"""Sound files that a client plays as its caller's voice."""

from pathlib import Path

from audiocodecs.resample import resample_whole
from audiocodecs.wav import decode_wav
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples
from voicegate.kernel.errors import AudioError


def read_clip(path: Path, rate_hz: int) -> Samples:
    """A WAV file of any rate, width and number of channels as mono int16 at ``rate_hz``.

    Raises:
        AudioError: there is no such file, or it is not WAV, or it holds no samples. The message names the file.
    """
    try:
        samples = decode_wav(path.read_bytes())
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror or error}") from error
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error
    if not samples.size:
        raise AudioError(f"{path}: it holds no audio")
    return resample_whole(samples, PIPELINE_RATE_HZ, rate_hz)
