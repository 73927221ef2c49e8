"""Pitfall 33: results go to another place than where their reader looks, or to none."""

from tests.integration.project import Project

TASKS = """
    from decimal import Decimal

    from actors import actor

    @actor
    def total(*cents: int) -> Decimal:
        return Decimal(sum(cents)) / 100

    @actor(max_retries=0)
    def refuse() -> None:
        raise LookupError("no such order")

    @actor
    def large() -> str:
        return "x" * 65_536

    @actor(store_results=False)
    def secret() -> str:
        return "secret"
"""

ENV = {"ACTORS_MODULES": "shop_tasks,result_tasks"}


def said(project: Project, expression: str) -> str:
    """What a process of its own gets for *expression*."""
    program = f"from result_tasks import *\ntry:\n    print(repr({expression}))\nexcept Exception as error:\n    "
    ended = project.python("-c", program + "print(type(error).__name__, error)", **ENV)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_p33_a_result_is_where_its_reader_looks_without_any_setting(project: Project) -> None:
    project.write("result_tasks", TASKS)
    assert said(project, "total.send(999).get_result()").startswith("ResultMissing ")

    with project.worker(**ENV):
        assert said(project, "total.send(999, 1).get_result(block=True)") == "Decimal('10')"
        assert said(project, "refuse.send().get_result(block=True)") == (
            "ResultFailure actor raised LookupError: no such order"
        )
        assert said(project, "large.send().get_result(block=True)").startswith("ResultTooLarge ")
        assert said(project, "secret.send().get_result(block=True)").startswith("ResultNotStored ")


def test_p33_a_result_can_be_read_by_whoever_knows_the_message(project: Project) -> None:
    project.write("result_tasks", TASKS)
    identified = 'total.message(1, 2).copy(message_id="invoice-7")'
    with project.worker(**ENV):
        said(project, f"total.broker.enqueue({identified})")
        assert said(project, f"{identified}.get_result(block=True)") == "Decimal('0.03')"
