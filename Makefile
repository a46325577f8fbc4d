# `make install` sets up, `make demo` shows it, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all lint types format docs pictures bench worlds simulate mutants secrets audit clean clean-data

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## set up .venv with the pinned dependencies

# Debian splits ensurepip off into python3-venv. Where it is missing, the machine's own pip fills the environment.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it, e.g. make install PYTHON=python3.12" >&2; exit 1; }
	@if $(PYTHON) -m ensurepip --version >/dev/null 2>&1; then \
		$(PYTHON) -m venv $(VENV); \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
		$(PYTHON) -m venv --without-pip $(VENV); \
	else \
		echo "Neither pip nor venv: apt-get install python3-pip (or python3-venv)" >&2; exit 1; \
	fi
	@echo "Installing the dependencies into $(VENV) (a few minutes the first time)"
	@if $(BIN)/python -m pip --version >/dev/null 2>&1; then pip="$(BIN)/python -m pip"; \
	else pip="$(PYTHON) -m pip --python $(BIN)/python"; fi; \
	$$pip install --quiet --disable-pip-version-check --no-warn-script-location \
		--constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install ## run the whole thing on stand-ins of the external systems
	@exec $(BIN)/sync-pipelines demo

test: lint types ## lint, types, floors and the tests; checks that are alike for all pipelines run for one of them
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile -m 'not long'

test-all: lint types ## the same, with every check for every pipeline
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile

lint: install ## check style and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: install ## check types
	@$(BIN)/mypy

secrets: install ## look for keys and tokens in the repository that are not there on purpose (some minutes)
	@git ls-files -z | xargs -0 $(BIN)/detect-secrets-hook --no-verify --baseline .secrets.baseline

audit: install ## ask a database of known holes about every pinned version (needs the network; no part of the tests)
	@test -x $(BIN)/pip-audit || { \
	if $(BIN)/python -m pip --version >/dev/null 2>&1; then pip="$(BIN)/python -m pip"; \
	else pip="$(PYTHON) -m pip --python $(BIN)/python"; fi; \
	$$pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[audit]'; }
	@$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip

format: install ## format and mend style
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: install ## write the generated parts of the documentation
	@$(BIN)/python docs/generate.py

pictures: install ## take the README's pictures from a running demo (needs Debian's chromium)
	@$(BIN)/python docs/pictures.py

worlds: install ## run N small worlds of the core's decisions (N=1000000), or tell one (SEED=5)
	@$(BIN)/python -m sync_pipelines_tests.core.small_worlds $(or $(N),1000000) --workers $(WORKERS) $(if $(SEED),--seed $(SEED))

simulate: install ## live through N random worlds of the whole engine (N=1000), or tell one (SEED=5)
	@$(BIN)/python -m sync_pipelines_tests.simulation --worlds $(or $(N),1000) --workers $(WORKERS) $(if $(SEED),--seed $(SEED))

mutants: install ## mutate the core, see which mutants its tests miss, and write the score (a quarter of an hour)
	@test -x $(BIN)/mutmut || { \
	if $(BIN)/python -m pip --version >/dev/null 2>&1; then pip="$(BIN)/python -m pip"; \
	else pip="$(PYTHON) -m pip --python $(BIN)/python"; fi; \
	$$pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[mutation]'; }
	@rm -rf mutants
	@# A mutant may grow a text for ever: the limit (in KiB) ends it before the machine does.
	@ulimit -v 2000000; LAW_EXAMPLES=20 $(BIN)/mutmut run --max-children $(WORKERS)
	@$(BIN)/python docs/mutation_report.py

bench: install ## measure everything and write docs/benchmarks.md; some of it: ONLY=load,diff; quickly: QUICK=1
	@$(BIN)/python -c 'import dlt, duckdb, polars, reladiff' 2>/dev/null || { \
	if $(BIN)/python -m pip --version >/dev/null 2>&1; then pip="$(BIN)/python -m pip"; \
	else pip="$(PYTHON) -m pip --python $(BIN)/python"; fi; \
	$$pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'; }
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

clean: ## remove the environment and caches; data stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis mutants build dist .tmp_dagster_home_*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-data: ## delete the embedded database and the run logs, after asking
	@printf 'Delete everything in .sync_pipelines? [y/N] '; read answer; [ "$$answer" = y ] || exit 1
	@if [ -x $(BIN)/python ]; then $(BIN)/python -c 'from sync_pipelines.store.embedded import stop; \
		from sync_pipelines.store.home import home_folder; \
		[stop(home_folder() / part / "postgres") for part in ("", "demo")]'; fi
	rm -rf .sync_pipelines
