"""Lists that clients sort, filter and search: each declares what may be asked of it, and the rest is here, once."""
