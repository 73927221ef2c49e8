"""What a worker loads: the site, whose applications load their jobs."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.django_site.settings")
django.setup()
