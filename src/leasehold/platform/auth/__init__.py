"""How admins prove who they are: password, second factor, log-in."""
