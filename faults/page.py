"""docs/reference/failures.md, which the command writes."""

from collections.abc import Sequence

from benchmarks.peers import ROOT
from faults.fault import Fault
from faults.latency import LIMIT, NOISE_S, NOTICED_S, WINDOW_S

PAGE = ROOT / "docs" / "reference" / "failures.md"


def page(faults: Sequence[Fault], figures: str) -> str:
    """Return the page, with the figures that were taken last."""
    promises = "\n".join(f"| `{fault.name}` | {fault.expected} |" for fault in faults)
    return f"""\
# Under failure

What Leasehold promises when something breaks, and what was measured of it. `just faults` does each of these faults to
an installation of its own and prints the figures; `just faults --document` writes this page.

Two servers and a worker run as in production, on a PostgreSQL that is theirs alone. A client in a process of its own
asks for several tenants at a steady rate, through a balancer, and notes every request in a journal before it sends
it, and every answer. Then something is broken and mended. At the end the journal is compared with the tables.

Always, under every fault:

- **No acknowledged write is lost**, and none that was refused is done. A 503 means that nothing was done, but for one:
- **Only `outcome-unknown` and a broken connection leave it open** whether a write was done. Repeated with the same
  `Idempotency-Key` it is done once.
- **No row of another tenant** is in any answer or table: each row carries the mark of its tenant.
- **No answer 5xx but 503 with `Retry-After`**, and no request without any answer for twelve seconds.
- **Nothing is left over** once all processes were told to stop: no process, no connection, no temporary file.
- **The harm was real**: requests were refused by it, processes ended, or it has counted itself what it has met.

Where *nobody notices*, no request is answered 503 or 429 or cut off, and 99 of 100 of those that are due during the
harm are answered within {NOTICED_S:.0f} s.

What else is promised:

| fault | what is promised |
|---|---|
{promises}

## Figures

{figures}

- *writes acknowledged*: answered by success; all of them are looked for. *Unsure*: without a definite answer, and how
  many of those were done.
- *503*: with `Retry-After`. *Other answers*: any other 5xx, and any 4xx but 401, 409 and 429.
- *cut off*: connections that broke before the answer, as those to a server that is killed.
- *p99 meanwhile*: what 99 of 100 requests did not exceed that were due during the harm.
- *served again after*: from the end of the harm until for {WINDOW_S:.0f} s every request was answered well, and all
  that came later. *p99 back after*: until their 99th percentile was also within {LIMIT:.0f} times that of the quiet
  time before the harm, or {NOISE_S * 1000:.0f} ms. A request counts from the moment in which it was due.
- *left over*: processes, connections and temporary files, and processes that did not end well when they were told to.

What to do about each, in production, is in the [runbook](../runbook.md). How it is measured, and why so, is
[decision 29](../decisions/0029-faults-are-done-and-measured.md).
"""
