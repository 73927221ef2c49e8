"""One module a system: the actor that workers run, and ``enqueue``, which delays a message to it."""
