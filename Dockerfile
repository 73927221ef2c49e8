FROM python:3.13-slim AS build
WORKDIR /build
# The lock names the tools of development too. All of it is checked against its hashes; what the package needs is chosen
# from the checked wheels, without an index.
COPY requirements.lock ./
RUN pip wheel --no-cache-dir --require-hashes --wheel-dir /wheels --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY actors actors
COPY actors_probe actors_probe
COPY middleware middleware
COPY periodic periodic
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --no-index --find-links /wheels .

FROM python:3.13-slim
RUN useradd --system --uid 10001 worker \
    && install --directory --owner worker /var/lib/shop
COPY --from=build /venv /venv
# Your own package goes here.
WORKDIR /app
COPY examples examples
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
# As a list, so that SIGTERM reaches it and no shell; it joins its children, and --init (compose.yaml: init) reaps the rest.
CMD ["dramatiq", "actors"]
