"""What can be seen of a running server from outside: its figures, over all of its processes."""
