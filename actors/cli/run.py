"""``actors run``."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import typer
from dramatiq.asyncio import EventLoopThread, set_event_loop_thread

from actors.assembly import broker
from actors.checks.origin import users_frames
from actors.cli.exits import ExitStatus
from actors.cli.jobs import Job, find_job
from actors.cli.logs import log_everything
from actors.cli.modules import load_modules, prints_to_stderr
from actors.cli.options import Args, Json, Kwargs, MoreModules, Name
from actors.cli.render import print_json
from actors.cli.unsent import Unsent
from actors.encoding import dumps
from actors.json_forms import Refused
from middleware import Attempt
from middleware.attempt import set_current
from middleware.results import policy_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended.

    Attributes:
        actor: its name.
        outcome: ``done`` or ``failed``.
        result: what it returned, in JSON's types; the ``repr`` of what has no form in JSON.
        error: the type, message and traceback of what it raised, or None.
        duration_ms: how long it took, in milliseconds.
        unsent: what it would have sent: actor, args and kwargs of each message.
    """

    actor: str
    outcome: str
    result: Any
    error: dict[str, str] | None
    duration_ms: float
    unsent: list[dict[str, Any]]


def run(
    name: Name, args: Args = "[]", kwargs: Kwargs = "{}", modules: MoreModules = None, as_json: Json = False
) -> None:
    """Call an actor in this process; nothing is sent.

    Prints what it returns as JSON. No broker and no middleware takes part: one attempt, no time limit, and what the
    actor would send is listed on stderr instead. What it prints itself goes to stderr, too.
    """
    job = find_job(name, load_modules(modules), args, kwargs)
    log_everything()
    with prints_to_stderr():
        outcome = call(job)
    if as_json:
        print_json(asdict(outcome))
    elif outcome.error is None:
        print_json(outcome.result)
    else:
        typer.echo(outcome.error["traceback"], err=True, nl=False)
    raise typer.Exit(ExitStatus.OK if outcome.error is None else ExitStatus.FAILED)


def call(job: Job) -> Outcome:
    """Call the actor, as a worker would, and return how that ended."""
    unsent = Unsent(broker)
    result, error = None, None
    began = time.perf_counter()
    try:
        with _event_loop(), _attempt(job):
            result = job.actor(*job.args, **job.kwargs)
    except Exception as raised:
        error = _explain(raised)
    duration_ms = round((time.perf_counter() - began) * 1000, 3)
    for message in unsent.messages:
        log.warning("not sent, because actors run sends nothing: %s", message)
    return Outcome(
        actor=job.actor.actor_name,
        outcome="done" if error is None else "failed",
        result=_in_json(result),
        error=error,
        duration_ms=duration_ms,
        unsent=[
            {"actor": each.actor_name, "args": _in_json(each.args), "kwargs": _in_json(each.kwargs)}
            for each in unsent.messages
        ],
    )


@contextmanager
def _event_loop() -> Iterator[None]:
    """Run the loop that Dramatiq's async actors need, as in a worker."""
    quiet = log.getChild("event_loop")
    quiet.setLevel(logging.WARNING)
    thread = EventLoopThread(quiet)
    thread.daemon = True
    thread.start(timeout=1.0)
    set_event_loop_thread(thread)
    try:
        yield
    finally:
        set_event_loop_thread(None)
        thread.stop()


@contextmanager
def _attempt(job: Job) -> Iterator[None]:
    """Let the actor ask for its attempt, with the key that it would have in a worker."""
    message = job.actor.message(*job.args, **job.kwargs)
    policy = policy_of(job.actor, message)
    key = policy.key(job.args, job.kwargs) if policy.key is not None else message.message_id
    set_current(Attempt(message, 1, policy.scope, key if policy.idempotent else None, maybe_ran=False, fence=0))
    try:
        yield
    finally:
        set_current(None)


def _explain(error: Exception) -> dict[str, str]:
    # From the actor on: how it came to be called says nothing about it.
    first = next(iter(users_frames(error)), error.__traceback__)
    text = "".join(traceback.format_exception(type(error), error, first))
    return {"type": type(error).__qualname__, "message": str(error), "traceback": text}


def _in_json(value: Any) -> Any:
    try:
        return json.loads(dumps(value))
    except Refused:
        return repr(value)
