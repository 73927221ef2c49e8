# On a machine with Python and make alone: `make demo` and `make test` do all their own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Where the demo's jobs are: sqlite, a file; or rabbitmq, with servers of its own.
BROKER ?= sqlite

.DEFAULT_GOAL := help
.PHONY: help setup check test faults demo bench lock clean

help:  ## List the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY)  ## Make .venv with the locked dependencies

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with make PYTHON=…")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

check: $(READY)  ## Run the linters, the type checker and the import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(READY)  ## Run every test against real RabbitMQ and Redis
	@# Hundreds of processes import these; where PYTHONDONTWRITEBYTECODE is set, each would compile them anew.
	@$(BIN)/python -m compileall -q actors actors_probe middleware periodic services tests examples
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not long" $(ARGS)

faults: $(READY)  ## Run all fault tests, and whatever else takes long
	$(BIN)/python -m pytest tests/faults $(ARGS)
	$(BIN)/python -m pytest --ignore tests/faults -m long $(ARGS)

demo: $(READY)  ## Take 1,000 orders while a worker is killed, and count what was lost
	@$(BIN)/python -m examples.demo --broker $(BROKER)

bench: $(READY)  ## Measure beside plain Dramatiq, in the same run
	@$(BIN)/python -m benchmarks

lock:  ## Pin the newest dependencies that pyproject.toml allows (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
	  --group dev --group examples pyproject.toml -o requirements.lock

clean:  ## Remove what the other commands made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
