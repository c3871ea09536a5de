"""Settings of the project: what django-tenants asks for, and the middleware that gives answers a length."""

import os
from urllib.parse import unquote, urlsplit

_url = urlsplit(os.environ["BENCH_DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django_tenants.postgresql_backend",
        "HOST": _url.hostname,
        "PORT": _url.port,
        "USER": unquote(_url.username or ""),
        "PASSWORD": unquote(_url.password or ""),
        "NAME": _url.path.lstrip("/"),
        "CONN_MAX_AGE": None,
    }
}
DATABASE_ROUTERS = ("django_tenants.routers.TenantSyncRouter",)
SHARED_APPS = ("django_tenants", "django.contrib.contenttypes", "benchmarks.peers.django_peer.customers")
TENANT_APPS = ("benchmarks.peers.django_peer.items",)
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
TENANT_MODEL = "customers.Customer"
TENANT_DOMAIN_MODEL = "customers.Domain"
MIDDLEWARE = ("django_tenants.middleware.TenantMainMiddleware", "django.middleware.common.CommonMiddleware")
ROOT_URLCONF = "benchmarks.peers.django_peer.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = False
ALLOWED_HOSTS = ("*",)
SECRET_KEY = "only-for-the-benchmark"
USE_TZ = True
LOGGING_CONFIG = None
