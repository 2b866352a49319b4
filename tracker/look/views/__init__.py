"""Every page as a value: what stands in it for a snapshot or for what history has kept."""

from tracker.look.views.history import deployment, history
from tracker.look.views.missing import missing
from tracker.look.views.overview import overview
from tracker.look.views.room import room
from tracker.look.views.seat import seat
from tracker.look.views.swarm import swarm

__all__ = ["deployment", "history", "missing", "overview", "room", "seat", "swarm"]
