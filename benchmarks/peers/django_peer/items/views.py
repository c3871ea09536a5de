"""What is answered."""

import json
from uuid import UUID

from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404

from benchmarks.peers.django_peer.items.models import Item


def item(_request: HttpRequest, item_id: UUID) -> JsonResponse:
    return JsonResponse(get_object_or_404(Item, id=item_id, deleted_at=None).as_dict())


def items(request: HttpRequest) -> JsonResponse:
    if request.method == "POST":
        data = json.loads(request.body)
        names = ("title", "description", "status", "owner_id", "tags")
        made = Item.objects.create(**{name: data[name] for name in names if name in data})
        return JsonResponse(made.as_dict(), status=201)
    limit = int(request.GET.get("limit", "20"))
    found = list(Item.objects.filter(deleted_at=None).order_by("id")[: limit + 1])
    page, has_more = [row.as_dict() for row in found[:limit]], len(found) > limit
    return JsonResponse({"items": page, "next_cursor": page[-1]["id"] if has_more else None, "has_more": has_more})
