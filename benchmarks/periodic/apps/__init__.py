"""One module a system: the same schedules, whose jobs put a persistent message with their number into a queue."""
