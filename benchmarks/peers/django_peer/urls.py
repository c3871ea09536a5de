"""Addresses."""

from django.urls import path

from benchmarks.peers.django_peer.items import views

urlpatterns = [path("v1/items", views.items), path("v1/items/<uuid:item_id>", views.item)]
