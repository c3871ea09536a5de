"""In which order tables are filled: each behind those that its foreign keys refer to."""

from collections.abc import Collection, Mapping
from graphlib import TopologicalSorter


def loading_order(references: Mapping[str, Collection[str]]) -> list[str]:
    """Return all tables, the same ones always in the same order. What a table refers to in itself does not count.

    Raises:
        graphlib.CycleError: two tables refer to each other, which no schema of ours does.
    """
    sorter = TopologicalSorter[str]()
    for table in sorted(references):
        sorter.add(table, *sorted(set(references[table]) - {table}))
    sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return order
