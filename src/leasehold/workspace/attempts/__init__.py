"""How often somebody has lately failed to prove who they are, and how long they must wait before the next try."""
