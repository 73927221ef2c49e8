"""Schedules, and the scheduler that enqueues their ticks; this release has neither yet."""
