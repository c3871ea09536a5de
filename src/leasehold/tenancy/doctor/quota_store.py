"""Whether requests are counted where the settings want them to be, if that is Valkey.

In PostgreSQL they are counted by what the checks of rights and migrations look at.
"""

from leasehold.core.quotas.limits import Limits, Policy, Window
from leasehold.core.quotas.opening import ValkeyNotInstalled, ValkeyStore, open_valkey
from leasehold.core.quotas.shared import Asked, StoreAway
from leasehold.tenancy.doctor.check import Check
from leasehold.tenancy.doctor.finding import Finding, Kind
from leasehold.tenancy.doctor.site import Site

UNUSABLE = Kind(
    "quota-store-unusable",
    "problem",
    "Requests cannot be counted at LEASEHOLD_VALKEY_URL: {reason}. Until then each process counts by itself.",
    "Check host, port, password and database; that it is a primary; and that its login may run scripts, GET and SET.",
)
TOO_OLD = Kind(
    "quota-store-too-old",
    "problem",
    "LEASEHOLD_VALKEY_URL leads to version {version}, and Leasehold needs Valkey, or Redis {oldest}.",
    "Take Valkey, or a newer Redis.",
)
IN_CLUSTER = Kind(
    "quota-store-in-cluster",
    "problem",
    "LEASEHOLD_VALKEY_URL leads to a node of a cluster, which holds a part of the keys and refuses the others.",
    "Let it name a server that stands alone. One is enough: what a busy installation counts are some megabytes.",
)
REFUSES_WHEN_FULL = Kind(
    "quota-store-refuses-when-full",
    "warning",
    "Valkey has a limit of its memory, and refuses to count when it is reached (maxmemory-policy is {policy}).",
    "Set maxmemory-policy to volatile-ttl: then it forgets the quotas first that are the next to be whole.",
)
_TIMEOUT_S = 5
_PROBE = Asked(Limits(Policy("doctor", (Window(1000, 1),))), ("doctor",))
"""It leaves a key for a millisecond."""


async def find(site: Site) -> list[Finding]:
    """Count a request of nobody's, and look at what the server tells of itself."""
    settings = site.settings
    if settings.rate_limit_store != "valkey" or settings.valkey_url is None:
        return []
    try:
        store = open_valkey(settings.valkey_url.get_secret_value(), installation=settings.issuer, timeout_s=_TIMEOUT_S)
    except ValkeyNotInstalled as error:
        return [UNUSABLE.found(reason=str(error).rstrip("."))]
    try:
        return await _find(store, site.code.oldest_redis)
    except StoreAway as error:
        why = error.__cause__
        return [UNUSABLE.found(reason=(str(why) or type(why).__name__).rstrip("."))]
    finally:
        await store.close()


async def _find(store: ValkeyStore, oldest: int) -> list[Finding]:
    facts = await store.facts()
    version = facts.get("redis_version", "")
    findings: list[Finding] = []
    # Valkey tells one too, for clients that know Redis alone: 7.2.
    major = version.partition(".")[0]
    if major.isdecimal() and int(major) < oldest:
        findings.append(TOO_OLD.found(version=version, oldest=oldest))
    if facts.get("cluster_enabled") == "1":
        return [*findings, IN_CLUSTER.found()]
    if facts.get("maxmemory", "0") != "0" and facts.get("maxmemory_policy") == "noeviction":
        findings.append(REFUSES_WHEN_FULL.found(policy="noeviction"))
    await store.take([_PROBE])
    return findings


CHECK = Check(
    "quota-store",
    "Are requests counted where the settings want them to be?",
    (UNUSABLE, TOO_OLD, IN_CLUSTER, REFUSES_WHEN_FULL),
    find,
    needs_platform=False,
)
