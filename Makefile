# sagakit: every target stands alone; it makes .venv and installs what it needs first.
# The second run of a target is instant: a stamp per extra, renewed when pyproject.toml changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
ARGS ?=
UI := sagakit/widgets/ui

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help lab test lint bench mutants diagrams rules widgets clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

lab: $(VENV)/installed-lab ## Open JupyterLab on the tour (prints the URL when there is no display).
	@set --; \
	if [ "$$(id -u)" = 0 ]; then set -- "$$@" --allow-root; fi; \
	if { [ "$$(uname)" = Linux ] && [ -z "$${DISPLAY:-}$${WAYLAND_DISPLAY:-}" ]; } \
		|| ! $(BIN)/python -c 'import webbrowser; webbrowser.get()' 2>/dev/null; then \
		echo "No display or no browser here: open the URL that is printed last."; \
		set -- "$$@" --no-browser; \
	fi; \
	exec $(BIN)/sagakit lab "$$@" $(ARGS)

test: $(VENV)/installed-test ## Run every test, the notebooks included (ARGS="-x -k name" goes to pytest).
	$(BIN)/python -m pytest --nbval --nbval-current-env --nbval-cell-timeout=60 tests notebooks $(ARGS)

lint: $(VENV)/installed-dev ## Check style, import rules and types.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: $(BENCH)/installed ## Measure sagakit beside its peers; writes tests/benchmarks/RESULTS.md.
	$(BENCH)/bin/python tests/benchmarks/run.py $(ARGS)

mutants: $(VENV)/installed-dev ## Mutation-test the coordinator, for an hour or so (ARGS="--max-children 2").
	SAGAKIT_HYPOTHESIS_PROFILE=mutants $(BIN)/mutmut run $(ARGS)
	$(BIN)/mutmut results

diagrams: $(VENV)/installed-dev ## Draw the state diagrams of the docs anew, from the transition table.
	$(BIN)/python -m sagakit.diagrams

rules: $(VENV)/installed-dev ## Write data/rules.md anew, from the rules of `sagakit check`.
	$(BIN)/python -m sagakit.lab.check.page

# `npm ci` takes what package-lock.json pins; the bundle in sagakit/widgets/static is committed.
widgets: ## Check, test and bundle the page of the widgets (needs Node 20 or newer).
	@command -v npm >/dev/null || { echo "'npm' is not there: install Node 20 or newer" >&2; exit 1; }
	cd $(UI) && npm ci --ignore-scripts --no-audit --no-fund
	cd $(UI) && npm run check && npm test && npm run build

clean: ## Remove the venvs and everything generated.
	rm -rf $(VENV) $(BENCH) .venv-peers .venv-peers.lock build dist mutants .mypy_cache .pytest_cache .ruff_cache .import_linter_cache \
		.hypothesis .benchmarks $(UI)/node_modules
	find sagakit tests notebooks \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

$(VENV)/created:
	@command -v $(PYTHON) >/dev/null || { echo "'$(PYTHON)' is not there: install Python 3.11 or newer, \
	or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "sagakit needs Python 3.11 \
	or newer, and $(PYTHON) is $$($(PYTHON) -V 2>&1); name another: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a venv (Debian, Ubuntu: \
	apt-get install python3-venv)" >&2; exit 1; }
	@touch $@

$(VENV)/installed-%: pyproject.toml $(VENV)/created
	@echo "Installing sagakit[$*] into $(VENV); the first time this takes a minute or two"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[$*]'
	@touch $@

# The peers have a venv of their own, so that they cannot change what the tests run on.
$(BENCH)/installed: pyproject.toml tests/benchmarks/requirements.txt $(VENV)/created
	@echo "Installing sagakit and its peers into $(BENCH); the first time this takes a minute or two"
	@$(BIN)/python -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip install -qq --disable-pip-version-check --editable '.[all]' \
		--requirement tests/benchmarks/requirements.txt
	@touch $@
