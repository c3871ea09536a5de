"""How much of what a tenant may have of it, and the place where it is held to that."""
