# Two commands are all the set-up there is: `make demo` and `make test`. Each installs what it needs once.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
BIN := .venv/bin
STAMPS := build/stamps
DATA ?=
INSTRUMENT ?=
NATIVE := $(shell find native -name '*.cpp' -o -name '*.hpp' -o -name '*.in' -o -name CMakeLists.txt) serving/openapi.json
CXX_FILES = $(shell git ls-files 'native/*.cpp' 'native/*.hpp')
SANITIZED := build/native-sanitize
THREADS := build/native-threads
FUZZERS := books bus capture dbn feed http infer inflate itch50 levels moldudp64 onnx
PEERS ?= granian mlserver bentoml litserve ray mlflow
# Each fuzzer's time in `make fuzz`; `make test` gives each three seconds.
SECONDS_EACH ?= 600

.PHONY: help setup demo test native-tests short-fuzz test-long test-threads test-dpdk fuzz check bench bench-peers format clean

help: ## say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(STAMPS)/installed ## environment, dependencies and the native extension

# Debian packages: $(call debian,PACKAGE...) installs what is missing as root, else says what to install.
define debian
	@missing=""; for p in $(1); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ]; then echo "installing Debian packages:$$missing"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  else echo "missing Debian packages; install them with: apt-get install$$missing" >&2; exit 3; fi; fi
endef

# A Python that came from elsewhere brings venv and headers itself; Debian's needs two more packages.
$(STAMPS)/python:
	@mkdir -p $(STAMPS)
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: $(PYTHON) was not found" >&2; exit 3; }
	@command -v g++ >/dev/null || { echo "g++ is needed: apt-get install g++" >&2; exit 3; }
	$(if $(shell $(PYTHON) -c 'import ensurepip, os, sysconfig; print("yes" if os.path.exists(sysconfig.get_path("include") + "/Python.h") else "")' 2>/dev/null),,$(call debian,python3.11-venv python3.11-dev))
	@touch $@

# What the native code is built with: JSON, HTTP (C sources), deflate.
$(STAMPS)/build-packages: $(STAMPS)/python
	$(call debian,libsimdjson-dev node-llhttp zlib1g-dev)
	@touch $@

$(STAMPS)/dependencies: $(STAMPS)/build-packages constraints.txt pyproject.toml
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@echo "installing Python dependencies (minutes, once)"
	$(BIN)/python -m pip install -qq -c constraints.txt scikit-build-core nanobind cmake ninja
	$(BIN)/python -m pip install -qq -c constraints.txt $$($(BIN)/python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; o = p["optional-dependencies"]; print(*[r.replace(" ", "") for r in p["dependencies"] + o["serving"] + o["stores"] + o["buses"] + o["postgres"] + o["training"] + o["dask"] + o["dev"] if not r.startswith("ringcraft")])')
	@touch $@

$(STAMPS)/installed: $(STAMPS)/dependencies $(NATIVE)
	@echo "building the native extension"
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## the whole loop; DATA=PATH takes a real recording, INSTRUMENT=V:S one of several
	$(BIN)/ringcraft demo $(if $(DATA),--data $(DATA)) $(if $(INSTRUMENT),--instrument $(INSTRUMENT))

$(STAMPS)/test-packages: $(STAMPS)/python
	$(call debian,doctest-dev chromium openssl postgresql redis-server victoria-metrics clang libclang-rt-dev)
	@touch $@

# Clients that others wrote: tests put the folder before the environment's packages in a program of its own.
$(STAMPS)/clients: $(STAMPS)/dependencies tests/clients/requirements.txt
	@rm -rf build/clients
	@echo "installing kserve's and MLServer's clients under build/clients"
	$(BIN)/python -m pip install -qq --no-deps --no-compile --target build/clients -r tests/clients/requirements.txt
	@touch $@

# One build for both: gcc has no libFuzzer, so it is clang's.
$(SANITIZED)/native_tests: $(STAMPS)/dependencies $(STAMPS)/test-packages $(NATIVE)
	@echo "building native tests and fuzzers with AddressSanitizer and UndefinedBehaviorSanitizer"
	@PATH="$(CURDIR)/$(BIN):$$PATH" cmake --fresh -S native -B $(SANITIZED) -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
	  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DRINGCRAFT_TESTS=ON -DRINGCRAFT_FUZZ=ON -DRINGCRAFT_SANITIZE=ON -DRINGCRAFT_PYTHON=OFF >/dev/null
	@PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build $(SANITIZED) --target native_tests fuzzers
	@touch $@

# $(call fuzz,SECONDS): every decoder, from a corpus that a seed made; an input that breaks one stays beside it.
define fuzz
	@$(SANITIZED)/fuzz_corpus $(SANITIZED)/corpus
	@for name in $(FUZZERS); do echo "fuzzing $$name for $(1) s"; \
	  $(SANITIZED)/fuzz_$$name -max_total_time=$(1) -max_len=16384 -timeout=20 -verbosity=0 -artifact_prefix=$(SANITIZED)/$$name- \
	    $(SANITIZED)/corpus/$$name >$(SANITIZED)/$$name.log 2>&1 || { cat $(SANITIZED)/$$name.log; exit 1; }; done
endef

fuzz: $(SANITIZED)/native_tests ## the decoders under libFuzzer, SECONDS_EACH=600 each
	$(call fuzz,$(SECONDS_EACH))

test: setup $(SANITIZED)/native_tests $(STAMPS)/clients ## native tests under sanitizers and fuzzers side by side, then everything else
	@$(MAKE) --no-print-directory -j 2 --output-sync=target native-tests short-fuzz
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not long"

native-tests: $(SANITIZED)/native_tests
	@RINGCRAFT_ONNXRUNTIME="$$($(BIN)/python -c 'from native import onnxruntime_library; print(onnxruntime_library())')" $(SANITIZED)/native_tests

short-fuzz: $(SANITIZED)/native_tests
	$(call fuzz,3)

test-long: setup ## what takes minutes: demonstrations and experiments on a live tier
	$(BIN)/python -m pytest -m long --timeout=3600

test-threads: $(STAMPS)/dependencies $(STAMPS)/test-packages ## rings, bus, tables and worker threads under ThreadSanitizer
	@PATH="$(CURDIR)/$(BIN):$$PATH" cmake -S native -B $(THREADS) -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	  -DRINGCRAFT_TESTS=ON -DRINGCRAFT_SANITIZE_THREADS=ON -DRINGCRAFT_PYTHON=OFF >/dev/null
	@PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build $(THREADS) --target native_tests
	TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1" $(THREADS)/native_tests -sf='*transport_*,*serving_*,*receive*'

# DPDK with virtual devices; nothing else needs its package.
test-dpdk: $(STAMPS)/dependencies $(STAMPS)/test-packages ## receiving through DPDK, between virtual devices
	$(call debian,libdpdk-dev pkg-config)
	@PATH="$(CURDIR)/$(BIN):$$PATH" cmake -S native -B build/native-dpdk -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	  -DRINGCRAFT_TESTS=ON -DRINGCRAFT_DPDK=ON -DRINGCRAFT_PYTHON=OFF >/dev/null
	@PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build build/native-dpdk --target dpdk_tests
	build/native-dpdk/dpdk_tests

check: setup ## format, lint, types, arrows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)
	@PATH="$(CURDIR)/$(BIN):$$PATH" cmake -S native -B build/tidy -G Ninja -DRINGCRAFT_PYTHON=OFF -DRINGCRAFT_TIDY=ON >/dev/null
	@PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build build/tidy

bench: setup ## what is measured, each against a peer in the same run
	@failed=""; for name in feed features engine shared serve guardrails; do \
	  $(BIN)/ringcraft bench $$name || failed="$$failed $$name"; done; [ -z "$$failed" ] || { echo "not all goals met:$$failed" >&2; exit 1; }

# Their dependencies agree neither with each other nor with ours.
bench-peers: $(STAMPS)/python ## servers that `bench serve` is set against, each in an environment of its own; PEERS="granian mlserver"
	@failed=""; for name in $(PEERS); do echo "installing $$name under build/peers"; \
	  { $(PYTHON) -m venv build/peers/$$name && build/peers/$$name/bin/python -m pip install -qq -r benchmarks/peers/$$name.txt; } \
	  || failed="$$failed $$name"; done; [ -z "$$failed" ] || { echo "could not be installed:$$failed" >&2; exit 3; }

format: setup ## rewrite files in the project's style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $(CXX_FILES)

clean: ## remove everything that was made
	rm -rf .venv build
