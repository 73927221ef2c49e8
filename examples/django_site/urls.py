from __future__ import annotations

from django.urls import path

from examples.django_site.views import receipt

urlpatterns = [path("orders/<int:order>/receipt", receipt)]
