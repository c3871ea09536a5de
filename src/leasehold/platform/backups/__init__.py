"""Backups: archives of the platform and of every tenant in a store of their own, and how long they are kept there.

To read it in order: schemas, names, store, objects (what a store is made of), opening; then running and service.
"""
