"""An application that shows its own metrics shows ours."""

import os
import subprocess
import sys

SOURCE = """
import sys
from middleware.metrics import Registry, Sample
from middleware.metrics.catalogue import ATTEMPTS, WAIT
one = {Sample(ATTEMPTS, ("a", "q", "done")): 1, Sample(WAIT, ("a", "q"), 2): 1, Sample(WAIT, ("a", "q"), -1): 0.02}
early, late = Registry(), Registry()
early.add(one)
assert "prometheus_client" not in sys.modules
import prometheus_client
early.add(one)
late.add(one)
print(prometheus_client.generate_latest().decode())
"""


def test_numbers_wait_for_somebody_who_can_show_them() -> None:
    env = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    ended = subprocess.run([sys.executable, "-c", SOURCE], env=env, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert 'actors_attempts_total{actor="a",outcome="done",queue="q"} 3.0' in lines
    assert 'actors_attempt_wait_seconds_bucket{actor="a",le="0.01",queue="q"} 0.0' in lines
    assert 'actors_attempt_wait_seconds_bucket{actor="a",le="0.025",queue="q"} 3.0' in lines
    assert 'actors_attempt_wait_seconds_sum{actor="a",queue="q"} 0.06' in lines
