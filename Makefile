# Two commands do everything on a machine with Python 3.11-3.13 and nothing else: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
FRAMEWORKS := .venv-frameworks
WORKERS = $(shell expr $$(nproc) + 2)
export NUMBA_CACHE_DIR ?= $(CURDIR)/$(VENV)/numba
export DAGSTER_DISABLE_TELEMETRY := 1
export GX_ANALYTICS_ENABLED := false
export TQDM_DISABLE ?=

.PHONY: demo test explore test-stores test-frameworks lint ui bench bench-frameworks clean lock install

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed; name one with 'make PYTHON=python3.12 ...'"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q warehouse pipelines
	$(BIN)/python -m warehouse.kernels
	@touch $@

demo: $(STAMP)
	OPENBLAS_NUM_THREADS=1 $(BIN)/python examples/demo.py

test: $(STAMP)
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# The laws on examples that no run before has seen; 'make test' takes the same ones each time.
explore: $(STAMP)
	HYPOTHESIS_PROFILE=explore $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# The repository's tests in a bucket too, also those that take seconds there.
test-stores: $(STAMP)
	EVERY_STORE=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile tests/repository tests/publish

# What needs PyTorch, a CUDA build of 5 GB, JAX, other trainers and the readers of other formats: an environment of its own.
test-frameworks: $(STAMP) $(FRAMEWORKS)/.installed
	$(FRAMEWORKS)/bin/python -m pytest tests/frameworks

$(FRAMEWORKS)/.installed: requirements-frameworks.lock
	$(PYTHON) -m venv $(FRAMEWORKS)
	$(FRAMEWORKS)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-frameworks.lock
	@touch $@

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

ui: $(STAMP)
	$(BIN)/warehouse ui

bench: $(STAMP)
	@test -f benchmarks/$(AREA).py || { echo "AREA=$(AREA): allowed: $$(ls benchmarks/*.py | xargs -n1 basename | sed 's/\.py//' | tr '\n' ' ')"; exit 2; }
	$(BIN)/python benchmarks/$(AREA).py $(ARGS)

bench-frameworks: $(FRAMEWORKS)/.installed
	PYTHONPATH=$(CURDIR) $(FRAMEWORKS)/bin/python benchmarks/torch_loader.py

LOCKED := uv pip compile --universal --generate-hashes --no-header --no-annotate --no-strip-extras --python-version 3.11

lock:
	$(LOCKED) --extra all --extra adbc --extra dev --extra pdf --extra remote --extra sign pyproject.toml -o requirements.lock
	printf '%s\n' accelerate datasets 'datatrove>=0.10,<0.11' lightgbm litdata 'mosaicml-streaming>=0.13' psutil pytest scipy torchdata transformers | \
	  $(LOCKED) --extra torch --extra jax \
	  --excludes tests/frameworks/excludes.txt --overrides tests/frameworks/overrides.txt pyproject.toml - -o requirements-frameworks.lock

clean:
	rm -rf .warehouse build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
