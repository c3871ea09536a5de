"""How a tenant reads what was counted of it: by functions of the shared schema, which show it nothing of another."""

from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import DateTime, Text, Uuid, bindparam, column, func, select

from leasehold.core.reads import Read, Reader
from leasehold.core.usage_report import Bucket, Size


class _Counted(Struct):
    starts_at: datetime
    requests: int
    refused: int
    errors: int
    database_us: int
    received_bytes: int
    sent_bytes: int


def _rows_of(function: Any, struct: type[Struct], *arguments: Any) -> Read[Any]:
    rows = function(*arguments).table_valued(*struct.__struct_fields__, name="own")
    return Read(select(*(rows.c[name] for name in struct.__struct_fields__)).order_by(column("starts_at")), struct)


_TENANT = bindparam("tenant_id", type_=Uuid)
_SINCE, _BEFORE = (bindparam(name, type_=DateTime(timezone=True)) for name in ("since", "before"))
_BUCKETS = _rows_of(func.platform.own_usage, _Counted, _TENANT, bindparam("bucket", type_=Text), _SINCE, _BEFORE)
_SIZES = _rows_of(func.platform.own_sizes, Size, _TENANT, _SINCE, _BEFORE)


class UsageReads:
    """What the bound tenant has used."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def buckets(self, bucket: Bucket, *, since: datetime, before: datetime) -> list[dict[str, Any]]:
        """Return what was used in each hour or day (UTC) that begins in a range and has anything."""
        values = {"tenant_id": self._reader.tenant_id, "since": since, "before": before}
        return [asdict(row) for row in await self._reader.all(_BUCKETS, bucket=bucket, **values)]

    async def sizes(self, *, since: datetime, before: datetime) -> list[Size]:
        """Return what was kept on each day that begins in a range."""
        return await self._reader.all(_SIZES, tenant_id=self._reader.tenant_id, since=since, before=before)
