"""Tenants and their hosts."""

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Customer(TenantMixin):
    name = models.TextField()
    auto_create_schema = False


class Domain(DomainMixin):
    pass
