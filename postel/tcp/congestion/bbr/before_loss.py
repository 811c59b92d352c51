"""What BBR restores when a loss turns out to be spurious (draft-ietf-ccwg-bbr, 5.5.10)."""

from postel.tcp.congestion.bbr.control_parameters import BbrState
from postel.tcp.congestion.bbr.path_model import PathModel


class BeforeLoss:
    """Bounds of the model before a loss, in octets and octets a second.

    ``state`` is STARTUP or PROBE_BW_UP where the loss ended that state, else None.
    """

    __slots__ = ("bw_shortterm", "inflight_longterm", "inflight_shortterm", "state")

    def __init__(self) -> None:
        """Create the record with nothing saved."""
        self.state: BbrState | None = None
        self.bw_shortterm: int = 0
        self.inflight_shortterm: int = 0
        self.inflight_longterm: int = 0

    def save(self, model: PathModel) -> None:
        """Save the bounds of ``model`` (SaveStateUponLoss; the controller saves the window)."""
        self.state = None
        self.bw_shortterm = model.short_term.bw
        self.inflight_shortterm = model.short_term.inflight
        self.inflight_longterm = model.inflight_longterm

    def note_end_of(self, state: BbrState) -> None:
        """Note that the loss ends ``state``."""
        self.state = state

    def forget_state(self) -> None:
        """Forget the state, because it was restored."""
        self.state = None

    def restore(self, model: PathModel) -> None:
        """Raise each bound of ``model`` to at least its value before the loss."""
        model.short_term.raise_bounds(self.bw_shortterm, self.inflight_shortterm)
        model.inflight_longterm = max(model.inflight_longterm, self.inflight_longterm)
