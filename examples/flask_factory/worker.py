"""What a worker loads: the same factory, so that it has the same configuration, and its jobs the same context."""

from __future__ import annotations

from functools import wraps
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware
from flask import Flask

import actors
from examples.flask_factory.app import create_app


class AppContext(Middleware):
    """Runs every job within the application's context, as Flask does with every request."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def after_declare_actor(self, broker: dramatiq.Broker, actor: dramatiq.Actor[..., Any]) -> None:
        fn = actor.fn

        @wraps(fn)
        def in_context(*args: Any, **kwargs: Any) -> Any:
            with self._app.app_context():
                return fn(*args, **kwargs)

        actor.fn = in_context


actors.broker.add_middleware(AppContext(create_app()))
