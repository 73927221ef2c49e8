"""A Django site, whose settings say where RabbitMQ and Redis are.

export DJANGO_SETTINGS_MODULE=examples.django_site.settings
django-admin runserver
dramatiq actors examples.django_site.worker
"""
