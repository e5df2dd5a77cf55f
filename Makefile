# One word each. `make test` needs Python 3.11+ with headers, a C compiler and make.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: test clean

$(VENV)/.ready: requirements-test.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -r requirements-test.txt
	touch $@

# What is finished: the stages named here, and the C headers by every compiler at hand.
FINISHED = tests/test_pcie.py tests/observe/test_trace.py tests/observe/test_arrow.py tests/host
test: $(VENV)/.ready
	for cc in cc gcc clang; do command -v $$cc >/dev/null || continue; \
	  printf '#include "fabcore.h"\n#include "regs.h"\nuint32_t x(void) { return FAB_LAYOUT; }\n' | \
	  $$cc -std=c11 -Wall -Wextra -Werror -Icsrc/include -Icsrc/switch -x c -fsyntax-only - || exit 1; done
	PYTHONPATH=src $(BIN)/python -m pytest -q -rs $(FINISHED)

clean:
	rm -rf $(VENV) build dist
