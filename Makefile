# `make` lists the targets. Everything is created under .regista/ (ignored); REGISTA_HOME moves it.

home := $(or $(REGISTA_HOME),.regista)
venv := $(home)/venv
bin  := $(venv)/bin
lock := deploy/requirements/dev.txt
stamp := $(venv)/.installed

.PHONY: help venv demo up down status check lint types imports unit test screenshots chaos mutants bench bench-mlflow bench-import lock schemas clean
.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE  # with it, every process of every start compiles all sources again

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

venv: $(stamp)  ## the virtual environment, from pinned and hashed requirements

$(stamp): $(lock) pyproject.toml sdk/pyproject.toml
	@command -v python3 >/dev/null || { echo "Python 3.11 or newer is needed: install python3"; exit 1; }
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, this is $$(python3 -V)"; exit 1; }
	@echo "making $(venv) (once; about a minute)"
	@test -x $(bin)/python || python3 -m venv $(venv) || { echo "python3 cannot make virtual environments: install python3-venv"; exit 1; }
	@$(bin)/pip install --quiet --disable-pip-version-check --require-hashes -r $(lock) \
	  || { echo "A package could not be fetched: check the network and pip's configuration, then run make again (what was fetched is kept)"; exit 1; }
	@$(bin)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e sdk -e .
	@touch $@

demo: $(stamp)  ## run the demo on real servers; leaves them running
	@$(bin)/python -m services.local.demo $(ARGS)

up: $(stamp)  ## start servers and services, without the demo
	@$(bin)/regista up

status: $(stamp)  ## show what runs, where, and how far behind
	@$(bin)/regista status

down:  ## stop everything
	@test -x $(bin)/regista && $(bin)/regista down || true

check: $(stamp)  ## lint, format, types, import contracts, unit tests
	@$(MAKE) --no-print-directory --output-sync=target -j3 unit types lint imports

lint: $(stamp)
	@$(bin)/ruff check .
	@$(bin)/ruff format --check --quiet .
types: $(stamp)
	@$(bin)/mypy --strict
imports: $(stamp)
	@$(bin)/lint-imports --no-cache >$(home)/imports.log || { cat $(home)/imports.log; exit 1; }
workers := -n 2 --no-loadscope-reorder
unit: $(stamp)
	@$(bin)/pytest -q $(workers) -m "not servers and not slow" tests/unit tests/contract tests/architecture

test: $(stamp)  ## all tests, on real servers; one: make test ARGS=tests/unit/local
	@$(bin)/pytest -q $(or $(ARGS),$(workers))

screenshots: $(stamp)  ## a picture of every page of the console, in .regista/screenshots
	@REGISTA_SCREENSHOTS=$(home)/screenshots $(bin)/pytest -q tests/ui/test_browser.py -k "every_page or sign_in"

chaos: $(stamp)  ## ten minutes of faults under load; CHAOS_SECONDS=… CHAOS_SEED=…
	@REGISTA_CHAOS_SECONDS=$(or $(CHAOS_SECONDS),600) REGISTA_CHAOS_SEED=$(CHAOS_SEED) $(bin)/pytest -q tests/chaos/test_faults.py $(ARGS)

mutants: $(stamp)  ## change the deciding code piece by piece and list changes that no test notices; some: make mutants ARGS='services.cleanup.*'
	@test -x $(bin)/mutmut || $(bin)/uv pip install --quiet --python $(bin)/python mutmut==3.8.1
	@PATH="$(CURDIR)/$(bin):$$PATH" mutmut run $(ARGS)
	@PATH="$(CURDIR)/$(bin):$$PATH" mutmut results

bench: $(stamp)  ## measure; writes docs/benchmarks.md
	@$(bin)/python -m benchmarks $(ARGS)

mlflow := $(home)/mlflow
bench-mlflow: $(stamp) $(mlflow)/.installed  ## measure beside an MLflow server, in one run
	@$(bin)/python -m benchmarks.side_by_side

bench-import: $(stamp) $(mlflow)/.installed  ## import 200 versions of 10 MB from an MLflow server, beside a plain copy
	@$(bin)/python -m benchmarks.import_mlflow $(ARGS)

$(mlflow)/.installed: Makefile
	@echo "making $(mlflow) (once; some minutes)"
	@test -x $(mlflow)/bin/python || python3 -m venv $(mlflow)
	@$(bin)/uv pip install --quiet --python $(mlflow)/bin/python mlflow==3.17.0 psycopg2-binary==2.9.13
	@touch $@

clean: down  ## stop everything and remove .regista: data, caches, virtual environment
	@rm -rf $(home)

schemas: $(stamp)  ## write schemas/ and docs/errors.md from the code
	@$(bin)/python -m tools.contracts
	@$(bin)/python -m tools.error_codes

lock: $(stamp)  ## pin the requirements again; servers use the same versions
	@in=deploy/requirements compile="$(bin)/uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-header" \
	  && $$compile $$in/dev.in -o $$in/dev.txt && cp $$in/dev.txt $$in/server.txt && $$compile $$in/server.in -o $$in/server.txt
