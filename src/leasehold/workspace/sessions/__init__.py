"""The sessions of users: what a log-in begins, what refresh tokens continue, and what a log-out ends."""
