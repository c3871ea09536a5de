"""Quotas: how many requests somebody may send in which time, and who counts them.

The algorithm is GCRA (a leaky bucket as a meter, ITU-T I.371): all that is kept of a quota is one moment, at which it
will be whole again. See docs/decisions/0019-rate-limits.md.
"""
