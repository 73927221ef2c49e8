"""Each test runs pytest in a process and a folder of its own, as an application's suite would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from actors import pytest_plugin

pytest_plugins = ("pytester",)

# Of others, which have no part in these suites; to import them takes twice the time that a run without them does.
LEFT_OUT = ("cacheprovider", "hypothesispytest", "anyio", "xdist", "xdist.looponfail", "timeout", "time_machine")

# No RabbitMQ listens there: what gets past the guard fails to connect, and that is how a test tells.
NOWHERE = "amqp://127.0.0.1:1/"
TASKS = "from actors import actor\n@actor\ndef charge(order: int) -> None: ...\n"
SEND = """
    import pytest
    from actors.errors import EnqueueError
    from tasks import charge

    def test_it():
        with pytest.raises(EnqueueError):
            charge.send(1)
"""


@pytest.fixture(autouse=True)
def _application(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("ACTORS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ACTORS_PUBLISH_TIMEOUT_MS", "300")
    pytester.makepyfile(tasks=TASKS)
    left_out = " ".join(f"-p no:{plugin}" for plugin in LEFT_OUT)
    pytester.makeini(f"[pytest]\naddopts = --strict-markers {left_out}\nfilterwarnings = error\n")


def run(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess(*args)


def test_a_test_that_would_connect_to_a_rabbitmq_that_nobody_named_fails_at_once(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SEND)

    result = run(pytester)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"E *SettingsError: {pytest_plugin.REASON}"])


def test_the_text_of_the_guard_names_every_way_out() -> None:
    for way_out in (
        "the fixture stub_broker",
        "ACTORS_TEST_BROKER_URL",
        "ACTORS_BROKER_URL",
        "actors.configure(broker_url=…)",
        "@pytest.mark.actors_connect",
    ):
        assert way_out in pytest_plugin.REASON


def test_a_test_with_the_stub_broker_passes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from datetime import timedelta
        from actors.testing import assert_enqueued, drain
        from tasks import charge

        def test_it(stub_broker, actors_clock):
            assert actors_clock is stub_broker.clock
            charge.send_with_options(args=(1,), delay=timedelta(hours=1))
            assert_enqueued(charge, args=(1,), count=1)
            assert drain().done == 0
            actors_clock.advance(timedelta(hours=1))
            assert drain().done == 1

        def test_another_one_starts_with_empty_queues(stub_broker):
            charge.send(2)
            assert_enqueued(charge, count=1)
    """)

    run(pytester).assert_outcomes(passed=2)


@pytest.mark.parametrize("name", ["ACTORS_BROKER_URL", "ACTORS_TEST_BROKER_URL"])
def test_a_test_whose_rabbitmq_is_named_in_the_environment_is_left_alone(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, NOWHERE)
    pytester.makepyfile(SEND)

    run(pytester).assert_outcomes(passed=1)


def test_a_test_whose_rabbitmq_is_named_in_code_is_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(f"import actors\nactors.configure(broker_url={NOWHERE!r})")
    pytester.makepyfile(SEND)

    run(pytester).assert_outcomes(passed=1)


def test_the_rabbitmq_of_tests_takes_the_place_of_the_applications(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTORS_BROKER_URL", "amqp://production/")
    monkeypatch.setenv("ACTORS_TEST_BROKER_URL", NOWHERE)
    pytester.makepyfile(f"""
        import actors

        def test_it():
            assert actors.settings().broker_url == ({NOWHERE!r},)
    """)

    run(pytester).assert_outcomes(passed=1)


def test_a_marked_test_may_use_the_default_and_the_next_may_not(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest
        from actors import broker
        from actors.errors import SettingsError

        @pytest.mark.actors_connect
        def test_marked():
            assert broker.engine.where.endswith("/actors.db")

        def test_unmarked():
            with pytest.raises(SettingsError, match="a test would put jobs into the default file"):
                broker.engine
    """)

    run(pytester).assert_outcomes(passed=2)


def test_importing_actors_within_a_test_does_not_get_past_the_guard(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        def test_it():
            from actors.errors import SettingsError
            from tasks import charge

            with pytest.raises(SettingsError, match="a test would put jobs into the default file"):
                charge.send(1)
    """)

    run(pytester).assert_outcomes(passed=1)


def test_a_process_that_a_test_starts_is_guarded_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import subprocess
        import sys

        def test_it():
            send = [sys.executable, "-c", "from tasks import charge; charge.send(1)"]
            assert b"a test would put jobs into the default file" in subprocess.run(send, capture_output=True).stderr
    """)

    run(pytester).assert_outcomes(passed=1)


def test_the_environment_is_as_before_once_pytest_has_ended(pytester: pytest.Pytester) -> None:
    main = pytester.makepyfile(
        main="""
        import json, os
        import pytest

        os.environ["ACTORS_BROKER_URL"], os.environ["ACTORS_TEST_BROKER_URL"] = "amqp://mine/", "amqp://of-tests/"
        before = {name: value for name, value in os.environ.items() if name.startswith("ACTORS_")}
        assert pytest.main(["test_it.py", "-q"]) == 0
        after = {name: value for name, value in os.environ.items() if name.startswith("ACTORS_")}
        print(json.dumps([before, after]))
    """
    )
    pytester.makepyfile(test_it="def test_it(): ...")

    result = pytester.runpython(main)

    before, after = json.loads(result.outlines[-1])
    assert before == after


def test_the_marker_and_the_fixtures_are_listed(pytester: pytest.Pytester) -> None:
    run(pytester, "--markers").stdout.fnmatch_lines(["@pytest.mark.actors_connect: *"])
    run(pytester, "--fixtures", "-q").stdout.fnmatch_lines(["stub_broker*", "*in memory*", "actors_clock*"])


def test_the_plugin_imports_nothing_but_pytest() -> None:
    """It is loaded at every start of pytest. Here it is loaded by its path, since its package imports more."""
    load = """
import sys
import pytest
before = set(sys.modules)
import importlib.util
spec = importlib.util.spec_from_file_location("plugin", sys.argv[1])
spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(*sorted(set(sys.modules) - before - {"importlib.util"}))
"""
    path = str(Path(pytest_plugin.__file__))

    imported = subprocess.run([sys.executable, "-c", load, path], capture_output=True, text=True, check=True).stdout

    assert imported.split() == []
