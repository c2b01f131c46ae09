# One command each, on a machine that has Python 3.11 or newer with its venv module, and nothing else.
#
#   make demo           Llama-2-7B on an H100, and the roofline picture
#   make test           the tests that take minutes
#   make test-thorough  the same with many more generated cases, and the long tests; formats once more without numba
#   make lint           ruff, mypy --strict, import-linter
#   make bench          speed, as ratios and counts
#   make outputs        the outputs that README and docs print, written anew after numbers moved
#   make clean          remove the environment and every cache
#
# PYTHON=python3.12 chooses another interpreter, WORKERS=8 more test processes, TESTS=tests/spec a part of the tests.

WORKERS ?= 2
TESTS ?= tests
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --constraint constraints.txt
EXTRAS := test,dse,cluster,parquet,web
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup

.PHONY: help demo test test-thorough lint bench outputs clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.demo
	@$(BIN)/python -m accelsim demo

test: $(VENV)/.test
	$(PYTEST) -m "not long" $(TESTS)

test-thorough: $(VENV)/.test
	ACCELSIM_HYPOTHESIS=thorough $(PYTEST) $(TESTS)
	$(if $(filter tests,$(TESTS)),ACCELSIM_NUMBA=0 $(PYTEST) $(wildcard tests/contract/test_formats*.py))

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks.run

outputs: $(VENV)/.demo
	$(BIN)/python docs/refresh.py

clean:
	rm -rf $(VENV) build dist accelsim-results .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp is renewed when pyproject.toml or constraints.txt change, and at no other time: a second run needs no network.
# The build backend is installed first, so that building the package takes the pinned one and not whatever is newest.

$(VENV)/.python:
	@for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found="$$python"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "accelsim needs Python 3.11 or newer; tried: $(or $(PYTHON),python3 python3.13 python3.12 python3.11)." >&2; \
	    echo "Name yours: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; \
	fi; \
	echo "setting up $(VENV) with $$("$$found" --version)"; \
	if ! "$$found" -m venv $(VENV); then \
	    echo "$$found has no working venv module; on Debian and Ubuntu it is a package of its own, python3-venv." >&2; exit 1; \
	fi
	@touch $@

$(VENV)/.demo: $(VENV)/.python pyproject.toml constraints.txt
	@echo "installing accelsim and what it needs into $(VENV) (once; takes a minute or two)"
	@$(INSTALL) hatchling
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

# softposit, an oracle for posit arithmetic, has no wheels: where there is no C compiler the tests do without it.
$(VENV)/.test: $(VENV)/.demo
	@echo "installing what the tests need into $(VENV) (once)"
	@$(INSTALL) --no-build-isolation --editable '.[$(EXTRAS)]'
	@$(INSTALL) softposit >$(VENV)/softposit.log 2>&1 \
	    || echo "softposit could not be built (see $(VENV)/softposit.log); comparisons with it are skipped"
	@touch $@

$(VENV)/.lint: $(VENV)/.test
	@echo "installing the linters into $(VENV) (once)"
	@$(INSTALL) --no-build-isolation --editable '.[dev]'
	@touch $@
