# make run | test | lint | format | bench | train; each works on a fresh machine and is quick the second time.

PYTHON ?= python3
BIN := .venv/bin
VERSION := $(or $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null),none)
INSTALLED := .venv/.installed-$(VERSION)
TEST_PROCESSES ?= 2
DATA ?= ../shared/data/ml-latest-small

.PHONY: run test lint format bench train package edge doctor audit training-deps chromium lock clean

run: $(INSTALLED)
	@test -e local.settings.json || cp local.settings.sample.json local.settings.json
	@exec $(BIN)/python -m emulator up

test: $(INSTALLED) chromium
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=edge/python $(BIN)/lint-imports
	$(BIN)/python -m infra.check

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks overhead
	$(BIN)/python -m benchmarks report

# A catalogue too large for devices has models, but no bundle.
train: training-deps
	$(BIN)/python -m training run $(DATA)
	-$(BIN)/python -m training edge models --data $(DATA)

# dist/recserve.zip, listed and started; FLAGS=--remote-build leaves the dependencies to a build in Azure.
package: $(INSTALLED)
	$(BIN)/python -m deployment package $(FLAGS)

# The browser client, its runtime and the demo page, which the function app serves: models/edge/web.
edge:
	cd edge/js && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error && node web.mjs ../../models/edge/web

# Of this checkout, or of the app settings in SETTINGS=file; FLAGS=--offline asks no endpoint.
doctor: $(INSTALLED)
	$(BIN)/python -m recserve.doctor $(if $(SETTINGS),--settings $(SETTINGS)) $(FLAGS)

# Known vulnerabilities of all pins, as PyPI knows them; a pin that it cannot be asked about is a failure too.
# With Python 3.13, whose pins are what Azure installs.
audit: $(INSTALLED)
	$(BIN)/uv tool run \
	  --python "$$($(BIN)/python -c 'from deployment.interpreter import find_interpreter; print(find_interpreter())')" \
	  pip-audit --strict --no-deps --disable-pip \
	  -r requirements.txt -r console/requirements.txt -r requirements-dev.txt

# One environment for everything but PyTorch. uv installs in seconds; where it cannot (a pip configuration
# that it does not read), pip does.
$(INSTALLED): requirements-dev.txt
	@case $(VERSION) in 3.11|3.12|3.13) ;; *) \
	  echo "Recserve needs Python 3.11, 3.12 or 3.13; the version of $(PYTHON) is: $(VERSION). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1;; esac
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(shell grep '^uv==' requirements-dev.txt)
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-dev.txt \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

training-deps: $(INSTALLED)
	@$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/python -m pip install --quiet -r training/requirements.txt

chromium:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || command -v chromium-browser >/dev/null \
	  || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	       && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } \
	  || echo "The browser tests will be skipped: install Chromium (Debian, Ubuntu: apt-get install chromium)."

# Pins for all supported Python versions, from pyproject.toml.
lock: $(INSTALLED)
	$(BIN)/uv pip compile pyproject.toml --universal --no-annotate --no-header -q --extra serving \
	  -o requirements.txt $(LOCK_FLAGS)
	$(BIN)/uv pip compile pyproject.toml --universal --no-annotate --no-header -q --extra console --extra planner \
	  -c requirements.txt -o console/requirements.txt $(LOCK_FLAGS)
	$(BIN)/uv pip compile pyproject.toml --universal --no-annotate --no-header -q --all-extras \
	  -c requirements.txt -o requirements-dev.txt $(LOCK_FLAGS)

clean:
	rm -rf .venv .venv-worker .local .*_cache .hypothesis
