"""Jobs as admins watch them, and what they can do for one that failed. The queue and its tables are the kernel's."""
