"""A Flask application made by a factory, whose own configuration says where RabbitMQ and Redis are.

export FLASK_BROKER_URL=amqp://guest:guest@127.0.0.1:5672/ FLASK_STORE_URL=redis://127.0.0.1:6379/0
flask --app examples.flask_factory.app run
dramatiq actors examples.flask_factory.worker
"""

from __future__ import annotations

from decimal import Decimal

from flask import Flask, request
from flask.typing import ResponseReturnValue

import actors
from examples.flask_factory.tasks import write_receipt


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(
        BROKER_URL="amqp://guest:guest@127.0.0.1:5672/", STORE_URL="redis://127.0.0.1:6379/0", RECEIPTS="receipts"
    )
    app.config.from_prefixed_env()
    actors.configure(broker_url=app.config["BROKER_URL"], store_url=app.config["STORE_URL"])

    @app.post("/orders/<int:order>/receipt")
    def receipt(order: int) -> ResponseReturnValue:
        message = write_receipt.send(order, Decimal(request.form["amount"]))
        return {"message_id": message.message_id}, 202

    return app
