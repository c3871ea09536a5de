"""Invitations: how somebody who is not a user yet may become one, with a role that was chosen for them."""
