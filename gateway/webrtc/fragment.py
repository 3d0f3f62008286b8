"""Reading a trickle fragment (``application/trickle-ice-sdpfrag``, RFC 8840 section 9). Pure."""

from dataclasses import dataclass

from gateway.webrtc.candidates import RemoteCandidate, read_candidate
from gateway.webrtc.sdp_lines import FRAGMENT_BOUNDS, bounded_lines
from voicegate.kernel.errors import RefusedCall


@dataclass(frozen=True, slots=True)
class Fragment:
    ufrag: str
    """Empty where the fragment names none."""
    candidates: tuple[RemoteCandidate, ...]
    end: bool
    """No more candidates will come."""


def read_fragment(body: bytes) -> Fragment:
    """Read one fragment. Unknown attributes are passed over, as RFC 8840 asks.

    Raises:
        RefusedCall: ``too_large`` or ``bad_sdp``.
    """
    ufrag = ""
    end = False
    candidates = []
    known = False
    for line in bounded_lines(body, FRAGMENT_BOUNDS):
        if line[:2] not in ("a=", "m=", "v=", "o=", "s=", "t=", "c=", "b="):
            raise RefusedCall("bad_sdp", "a fragment has lines of SDP only")
        name, _, value = line[2:].partition(":")
        if not line.startswith("a="):
            continue
        match name:
            case "ice-ufrag":
                ufrag, known = value[:256], True
            case "end-of-candidates":
                end = known = True
            case "candidate":
                known = True
                candidate = read_candidate(value)
                if candidate is not None:
                    candidates.append(candidate)
            case _:
                pass
    if not known:
        raise RefusedCall("bad_sdp", "the fragment has neither candidates nor an ice-ufrag")
    return Fragment(ufrag, tuple(candidates), end)
