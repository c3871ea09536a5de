"""What a process counts of itself, to be added up over the processes of a server and told to Prometheus.

Counting is additions in memory, without a lock and without labels that are looked up one by one: for one thread, as an
event loop is. What is counted becomes samples only when somebody asks.
"""

from leasehold.core.figures.family import Combine, Family, Kind, Sample, combined
from leasehold.core.figures.histogram import SECONDS, Histogram
from leasehold.core.figures.requests import METHODS, UNMATCHED, RequestFigures
from leasehold.core.figures.tenants import TenantFigures, TenantTotal

__all__ = [
    "METHODS",
    "SECONDS",
    "UNMATCHED",
    "Combine",
    "Family",
    "Histogram",
    "Kind",
    "RequestFigures",
    "Sample",
    "TenantFigures",
    "TenantTotal",
    "combined",
]
