"""One module a system: the jobs that workers run, ``enqueue``, ``enqueue_timed`` and, where there is one, ``fill``."""
