"""What a worker without a server does, beside huey on SQLite and Dramatiq on Redis."""
