"""What admins do with themselves."""
