"""Counts what becomes of messages, for Prometheus; right in many processes, whatever becomes of them."""

from middleware.metrics.catalogue import METRICS, Metric
from middleware.metrics.files import Files
from middleware.metrics.metrics import Metrics
from middleware.metrics.place import Place, PlaceBusy
from middleware.metrics.registry import Registry
from middleware.metrics.sink import Sample, Sink

__all__ = ["METRICS", "Files", "Metric", "Metrics", "Place", "PlaceBusy", "Registry", "Sample", "Sink"]
