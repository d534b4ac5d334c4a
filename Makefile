# Ringtoll. `make run` and `make test` each do all they need, on a machine that has python3 (3.11 or newer) and make.
#
#     .venv/.ringtoll ----> emulator/images/MANIFEST ----> run, bench-host, wheel
#     (packages, zig)       (guest images)        \
#     .venv/.ringtoll-dev --------------------------> test, test-guests, check
#     (pytest, ruff, mypy)
#
# What is up to date is not done again: a second run starts at once.

PYTHON ?= python3
PYTEST_ARGS ?=
JOBS        ?= 2
BENCH_ARGS ?=

VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input
IMAGES := emulator/images/MANIFEST
GUEST  := $(shell find guest -type f -not -path 'guest/build/*' -not -name '*.pyc' 2>/dev/null) $(wildcard loader/sandbox*.py)

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup guest run test test-guests check bench-host wheel clean distclean

help:
	@echo "make run         set up, build the guest, and print the ULS cost table (ringtoll bench uls)"
	@echo "make test        set up, build the guest, and run all tests"
	@echo "                 JOBS=N tests on N processors at once (2; each takes up to 8 GB)"
	@echo ""
	@echo "make setup       .venv with all packages and tools, nothing else"
	@echo "make guest       the guest images: kernel, programs, extensions"
	@echo "make test-guests the long runs: Debian's kernel, memtest86+ and, with RINGTOLL_XV6=FOLDER, xv6"
	@echo "make check       ruff and mypy"
	@echo "make bench-host  how fast this host runs the model"
	@echo "make wheel       a wheel in dist/ that carries the guest images"
	@echo "make clean       remove what was built; make distclean removes .venv too"

setup: $(VENV)/.ringtoll $(VENV)/.ringtoll-dev

guest: $(IMAGES)

run: $(IMAGES)
	@echo "run: ringtoll bench uls $(BENCH_ARGS)"
	@$(BIN)/ringtoll bench uls $(BENCH_ARGS)

test: $(VENV)/.ringtoll-dev $(IMAGES)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

test-guests: $(VENV)/.ringtoll-dev $(IMAGES)
	$(BIN)/python -m pytest -m guests_long -rs --durations=0 tests/guests tests/differential $(PYTEST_ARGS)

check: $(VENV)/.ringtoll-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Debian's kernel where it can be had; with RINGTOLL_XV6=FOLDER also xv6
bench-host: $(IMAGES)
	@linux="$$($(BIN)/python tests/guests/debian.py --options)" || linux=; \
	eval "set -- $$linux"; $(BIN)/ringtoll bench host "$$@" $(BENCH_ARGS)

wheel: $(IMAGES)
	@$(PIP) wheel --no-deps --wheel-dir dist .
	@ls dist/*.whl

clean:
	rm -rf guest/build emulator/images dist build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find emulator loader tests guest -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)

# ---- the environment ----

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "setup: there is no $(PYTHON); install Python 3.11 or newer, or say make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "setup: $$($(PYTHON) --version) is too old, 3.11 or newer is needed: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "setup: installing Debian's package python3-venv"; \
			{ apt-get -qq update && \
			  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3-venv >/dev/null; } || { \
				echo "setup: that failed; install the package python3-venv, then try again"; exit 1; }; \
		else \
			echo "setup: $(PYTHON) cannot make virtual environments; as root: apt-get install python3-venv"; exit 1; \
		fi; }
	@echo "setup: making $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.ringtoll: pyproject.toml constraints.txt hatch_build.py | $(BIN)/python
	@echo "setup: pip"
	@$(PIP) install --upgrade --constraint constraints.txt pip
	@echo "setup: the emulator's packages and the guest's compiler (zig, the largest download)"
	@$(PIP) install --constraint constraints.txt --editable . --group guest
	@touch $@

$(VENV)/.ringtoll-dev: $(VENV)/.ringtoll
	@echo "setup: test tools and linters"
	@$(PIP) install --constraint constraints.txt --group test --group lint
	@touch $@

# ---- the guest ----

$(IMAGES): $(GUEST) $(VENV)/.ringtoll
	@echo "guest: compiling kernel, libc, programs and extensions"
	@$(BIN)/python guest/collect.py
