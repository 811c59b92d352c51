"""What BBR goes back to when a loss turns out to be none (draft-ietf-ccwg-bbr, 5.5.10)."""

from postel.tcp.congestion.bbr.control_parameters import BbrState
from postel.tcp.congestion.bbr.path_model import PathModel


class BeforeLoss:
    """The bounds before a loss, and ``state``: STARTUP or PROBE_BW_UP where the loss ended that, else
    None.
    """

    __slots__ = ("bw_shortterm", "inflight_longterm", "inflight_shortterm", "state")

    def __init__(self) -> None:
        self.state: BbrState | None = None
        self.bw_shortterm: int = 0
        self.inflight_shortterm: int = 0
        self.inflight_longterm: int = 0

    def save(self, model: PathModel) -> None:
        """SaveStateUponLoss, but for the window."""
        self.state = None
        self.bw_shortterm = model.short_term.bw
        self.inflight_shortterm = model.short_term.inflight
        self.inflight_longterm = model.inflight_longterm

    def note_end_of(self, state: BbrState) -> None:
        """The loss ends ``state``."""
        self.state = state

    def forget_state(self) -> None:
        """There is no state to go back to any more."""
        self.state = None

    def restore(self, model: PathModel) -> None:
        """Raise each bound of ``model`` to at least what it was."""
        model.short_term.raise_bounds(self.bw_shortterm, self.inflight_shortterm)
        model.inflight_longterm = max(model.inflight_longterm, self.inflight_longterm)
