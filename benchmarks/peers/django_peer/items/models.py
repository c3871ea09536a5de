"""The table of items."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from uuid_utils.compat import uuid7


class Item(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7)
    title = models.CharField(max_length=200)
    description = models.TextField(default="")
    status = models.TextField(default="open")
    owner_id = models.UUIDField(null=True)
    tags = ArrayField(models.TextField(), default=list)
    version = models.BigIntegerField(default=1)
    deleted_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "items"
        managed = False

    def as_dict(self) -> dict[str, object]:
        names = (
            "id",
            "title",
            "description",
            "status",
            "owner_id",
            "tags",
            "version",
            "created_at",
            "updated_at",
        )
        return {name: getattr(self, name) for name in names}
