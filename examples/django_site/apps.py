from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import autodiscover_modules

import actors


class ReceiptsConfig(AppConfig):
    name = "examples.django_site"

    def ready(self) -> None:
        """Run by the web server, by every management command, and by the worker."""
        actors.configure(**settings.ACTORS)
        autodiscover_modules("tasks")
