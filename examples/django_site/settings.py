from __future__ import annotations

import os
from pathlib import Path

SECRET_KEY = os.environ.get("SECRET_KEY", "for development alone")
DEBUG = True
ROOT_URLCONF = "examples.django_site.urls"
INSTALLED_APPS = ["examples.django_site.apps.ReceiptsConfig"]

ACTORS = {
    "broker_url": os.environ.get("SITE_BROKER_URL", "amqp://guest:guest@127.0.0.1:5672/"),
    "store_url": os.environ.get("SITE_STORE_URL", "redis://127.0.0.1:6379/0"),
}
RECEIPTS = Path(os.environ.get("SITE_RECEIPTS", "receipts"))
