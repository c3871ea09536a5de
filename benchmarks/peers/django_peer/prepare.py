"""Makes the two shared tables of django-tenants and fills them with Leasehold's tenants."""

import os

import django
from django.db import connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.peers.django_peer.settings")
django.setup()

from benchmarks.peers.django_peer.customers.models import Customer, Domain  # noqa: E402

with connection.schema_editor() as editor:
    editor.create_model(Customer)
    editor.create_model(Domain)
with connection.cursor() as cursor:
    cursor.execute("SELECT slug, schema_name FROM platform.tenants")
    tenants = cursor.fetchall()
# Not one by one: `save` would make schemas.
Customer.objects.bulk_create(Customer(name=slug, schema_name=schema) for slug, schema in tenants)
Domain.objects.bulk_create(
    Domain(domain=f"{customer.name}.localhost", tenant=customer, is_primary=True) for customer in Customer.objects.all()
)
