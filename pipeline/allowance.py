"""What the process can afford at the moment, shared by all its conversations. PURE.

The one value here that changes: whoever watches the load sets it, conversations look when they decide.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Allowance:
    interims: bool = True
    """Text of an utterance that is not over yet: for the client's eyes, and for telling a barge-in by its words.
    Without it a barge-in is told by its length."""
    recordings: bool = True
    """Turn events of calls that begin now, kept for replay."""
    doubts: bool = True
    """Work on a reply while the caller may well go on: most of what is made in vain is made so."""
    speculation: bool = True
    """Work on any reply before the turn is over. Without it a reply begins when the turn is committed."""

    def speculates(self, *, doubtful: bool) -> bool:
        """Whether a reply may be begun before its turn is over."""
        return self.speculation and (self.doubts or not doubtful)
