"""Dead letters in RabbitMQ, in a queue beside each queue of work: what only looks at them gives them back."""

from actors.dead_letters.rabbitmq.graves import RabbitmqGraves

__all__ = ["RabbitmqGraves"]
