# Every target sets up what it needs. HotDash needs Python 3.11 to 3.13 and make, nothing else.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export DO_NOT_TRACK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export GX_ANALYTICS_ENABLED := false
# Machines that set it have every process compile thousands of modules anew: 5 s a start of Dagster, 10 s of its checks.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run quick test check lint bench docs lock clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: $(STAMP) ## Make the virtual environment from the locked dependencies

# uv installs in seconds what pip installs in two minutes; pip steps in where uv cannot reach the index (a mirror in pip.conf).
$(STAMP): requirements.lock requirements-bootstrap.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "HotDash needs Python 3.11, 3.12 or 3.13; name it with make PYTHON=/path/to/python" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bootstrap.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock \
		|| $(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup ## Load the last 14 days and serve the Dagster UI (stand-in store unless credentials are set)
	@$(BIN)/hotdash up

# What takes longer than it tells while one works (marked slow, integration, pipeline) is left to `make test`.
quick: setup ## Lint, types, import rules and the unit tests, in under two minutes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright
	$(BIN)/python -m pytest -q -n 4 -m "not slow" tests/unit

# Twice as many workers as the two cores of a small machine: half of the time a test waits for the processes it started.
test: setup ## Run every test
	$(BIN)/python -m pytest -n 4 --dist loadgroup $(TESTS)

lint: setup ## Format and style only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/sqlfluff lint --processes 2 --disable-progress-bar dbt_project/models

check: lint ## Lint, types, import rules, Docker files, SLAs, generated files
	$(BIN)/lint-imports
	$(BIN)/basedpyright
	$(BIN)/hadolint docker/Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker/compose.yaml
	$(BIN)/hotdash contracts dbt-sources --check
	$(BIN)/hotdash sla validate
	$(BIN)/hotdash docs --check

bench: setup ## Measure ingest against dlt and the floor, the monitoring views, backups (16 minutes)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r benchmarks/requirements.lock
	$(BIN)/python -m benchmarks.ingest
	$(BIN)/python -m benchmarks.agent_views
	$(BIN)/python -m benchmarks.notify
	$(BIN)/python -m benchmarks.sla
	$(BIN)/python -m benchmarks.backup

docs: setup ## Write the generated parts of docs/ anew
	$(BIN)/hotdash contracts dbt-sources
	$(BIN)/hotdash docs

lock: setup ## Resolve the dependencies anew (needs the package index)
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --extra dev --generate-hashes --no-emit-index-url --no-header --quiet -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet -c requirements.lock -o docker/requirements.lock
	echo "dlt[postgres]>=1.10" | $(BIN)/uv pip compile - --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet -c requirements.lock -o benchmarks/requirements.lock

clean: ## Remove the environment, caches and build output; keeps .hotdash (your data)
	rm -rf $(VENV) .ruff_cache .pytest_cache .import_linter_cache dbt_project/target dbt_project/logs *.egg-info build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
