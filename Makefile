# `make run` serves, `make test` tests, `make check` is the whole gate. Each sets up what it needs.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
# uv where it is present, else pip; a network that hiccups is no reason to fail.
install = if command -v uv >/dev/null 2>&1; then uv pip install --quiet --python $(BIN)/python $(1); \
  else $(BIN)/python -m pip --disable-pip-version-check install --quiet --retries 10 $(1); fi
# A command with Node.js ≥ 20: the machine's, else one from PyPI.
with-node = $(BIN)/python -m tests.js.node
NODE_MODULES := sdk/js/node_modules/.package-lock.json
find-python = $$(for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
  command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done)

.PHONY: run seed test test-adapters test-long test-js generate-js check t bench bench-time bench-trust bench-faces bench-recall bench-scale lock format clean generate

$(BIN)/python:
	@py=$(find-python); [ -n "$$py" ] || { echo "Aurra needs Python 3.11 or newer on the PATH." >&2; exit 1; }; \
	echo "making the environment in $(VENV) with $$($$py --version)"; \
	$$py -m venv $(VENV) || { rm -rf $(VENV); echo "This Python cannot make environments; on Debian: apt install python3-venv." >&2; exit 1; }

$(VENV)/.run: $(BIN)/python requirements.lock pyproject.toml
	@echo "installing packages"
	@$(call install,--require-hashes -r requirements.lock)
	@$(call install,--no-deps --no-build-isolation -e .) && touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	@echo "installing what the tests need"
	@$(call install,--require-hashes -r requirements-dev.lock)
	@$(call install,--no-deps --no-build-isolation -e ./sdk/python) && touch $@

$(NODE_MODULES): $(VENV)/.dev sdk/js/package.json sdk/js/package-lock.json
	@echo "installing what the JavaScript SDK is made with"
	@$(with-node) npm --prefix sdk/js ci --silent && touch $@

run: $(VENV)/.run  ## embedded Postgres, an account, a key, the service on PORT
	@exec $(BIN)/aurra serve --first-key

seed: $(VENV)/.run  ## the README's dated story, in an account of its own; prints its key
	@exec $(BIN)/aurra seed

test: $(VENV)/.dev  ## everything but the long variants; three processes (tests wait, too), each with a PostgreSQL of its own
	@$(BIN)/python -m pytest -m "not long and not js and not adapters" -n 3 --dist loadfile

test-adapters: $(VENV)/.dev  ## the SDK's adapters, each in an environment of its framework under .venv-adapters
	@$(BIN)/python -m pytest -m adapters -n 2

test-long: $(VENV)/.dev
	@$(BIN)/python -m pytest -m long --timeout 3600

test-js: $(VENV)/.dev $(NODE_MODULES)  ## the JavaScript SDK: generated files, types, tests, package; what needs Node.js
	@$(BIN)/python -m tests.js.document | $(with-node) node sdk/js/generate.mjs --check
	@$(with-node) npm --prefix sdk/js run --silent check
	@$(BIN)/python -m pytest -m js

t: $(VENV)/.dev  ## one test: make t T=tests/pure/test_timeline.py
	@$(BIN)/python -m pytest $(T)

check: $(VENV)/.dev  ## the gate: format, lint, types, layers, generated files, tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/basedpyright --warnings
	@$(BIN)/lint-imports
	@$(BIN)/python sdk/python/generate.py --check
	@$(MAKE) --no-print-directory test

generate: $(VENV)/.dev  ## rewrite what is generated: the SDKs, migrations/schema.sql, migrations/grants.txt
	@$(BIN)/python sdk/python/generate.py
	@$(BIN)/python -m tests.house.schema_dump > migrations/schema.sql.new && mv migrations/schema.sql.new migrations/schema.sql
	@$(BIN)/python -m tests.house.grants_dump > migrations/grants.txt.new && mv migrations/grants.txt.new migrations/grants.txt
	@if command -v npm >/dev/null 2>&1; then $(MAKE) --no-print-directory generate-js; \
	  else echo "No Node.js here, so sdk/js stays as it is: \`make generate-js\` brings one, and writes it." >&2; fi

generate-js: $(VENV)/.dev $(NODE_MODULES)  ## the JavaScript SDK, from the OpenAPI document
	@$(BIN)/python -m tests.js.document | $(with-node) node sdk/js/generate.mjs

format: $(VENV)/.dev
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: $(VENV)/.dev  ## speed, as ratios against raw asyncpg on the same Postgres
	@$(BIN)/python -m tests.bench.service

bench-time: $(VENV)/.dev  ## what versions and transactions cost, as ratios against asyncpg, COPY and now
	@$(BIN)/python -m tests.bench.time

bench-trust: $(VENV)/.dev  ## what authentication, row-level security, idempotency and limits cost together
	@$(BIN)/python -m tests.bench.trust

bench-faces: $(VENV)/.dev  ## what MCP, GraphQL and the SDK cost beside REST
	@$(BIN)/python -m tests.bench.faces

bench-scale: $(VENV)/.dev  ## what a search costs at 600, 6,000 and 60,000 memories a tenant
	@$(BIN)/python -m tests.bench.scale

bench-recall: $(VENV)/.dev  ## recall on LoCoMo (DATA=path of its JSON file)
	@$(BIN)/python -m tests.bench.recall $(DATA)

lock: $(VENV)/.dev  ## needs uv; writes lock files that name no host
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header --group build -o requirements.lock pyproject.toml
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header --group build --group dev -o requirements-dev.lock pyproject.toml
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header --group node -o requirements-node.lock
	@$(BIN)/python -m tests.adapters.environments lock

clean:
	rm -rf $(VENV) .venv-adapters .pytest_cache .ruff_cache .hypothesis build dist sdk/js/node_modules sdk/js/dist sdk/js/build
