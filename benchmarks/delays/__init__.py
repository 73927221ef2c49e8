"""What delayed messages cost a worker, and how late they are, beside plain Dramatiq and Celery."""
