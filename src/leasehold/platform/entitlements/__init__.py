"""What one tenant may have: its plan, and what was decided for it alone."""
