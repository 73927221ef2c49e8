"""A Django site, whose settings say where RabbitMQ is.

export DJANGO_SETTINGS_MODULE=examples.django_site.settings
django-admin runserver
dramatiq actors examples.django_site.worker
"""
