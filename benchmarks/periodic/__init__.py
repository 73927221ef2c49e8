"""What many schedules cost, how late their ticks are, and how long a failover takes, beside APScheduler and Celery."""
