"""What probes ask a process over HTTP: whether it lives, and whether it is ready."""
