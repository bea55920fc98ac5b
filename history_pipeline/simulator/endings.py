"""Why a session ends where no fault ends it; the end of a fault has the fault's name."""

EXPIRED = "expired"
"""It was not used for too long."""
LEFT = "left"
"""Its client said farewell."""
DROPPED = "dropped"
"""What it belongs to has ended: its HTTP session, or the node."""

ORDINARY = frozenset((EXPIRED, LEFT, DROPPED))
