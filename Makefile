# make demo      a handshake, a request and a close between two hosts, drawn as a ladder
# make test      everything that CI checks
# make bench     the figures of the README, beside those of other stacks
# make instructions   what a segment costs, to be committed: CI holds to it
# make compliance   docs/compliance.md anew, from a run of the tests
# make fuzz      ten million packets of a hostile peer to hosts in every state, on the compiled core
# make compile   the core as C extensions, in build/compiled
# make docs      the documentation's site, in build/docs
# make wheels    what can be uploaded: the source, a plain wheel, and a compiled one for this machine
# make clean

PYTHON := $(shell for python in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
ifeq ($(PYTHON),)
$(error no Python 3.11 or later found; install one, or say: make PYTHON=/path/to/python3)
endif

BIN := .venv/bin
CORE := $(shell find postel/wire postel/tcp postel/host -name '*.py')
COMPILED := build/compiled
# Without the bytecode that tests write meanwhile
COPY := tar -c --exclude=__pycache__ postel | tar -x -C $(COMPILED)
PMD := build/pmd
LABELS := $(CURDIR)/build/labels
PARALLEL := -n 2 --dist worksteal
UNIT := tests/wire tests/tcp tests/host
# Real time, in network namespaces; the rest of the suite runs on the compiled core, but for the unit tests' coverage, and what is read.
KERNEL := tests/kernel
APART := tests/packaging tests/browser
# They read sources and pages, of which the compiled core has no others; `documents` runs them.
OF_SOURCES := $(addprefix tests/test_,architecture.py documents.py errors.py owners.py prose.py typing.py)
PYTHONS := $(addprefix python-3.,11 12 13 14)
# Two cores: as many of these run side by side. The output of each is kept together where this make can do that.
SIDE_BY_SIDE := $(MAKE) --no-print-directory -j2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

PACKETS := 10000000

.PHONY: demo test check unit documents docs compliant compliance labels suite kernel apart counts pythons $(PYTHONS) \
	fuzz bench peers instructions compile wheels clean
.DELETE_ON_ERROR:

demo: $(BIN)/python
	@$(BIN)/python -m postel demo

# The compiler and the unit tests take the longest, so they begin; what measures real time has the machine for itself.
test: .venv/dev
	$(SIDE_BY_SIDE) $(COMPILED)/stamp unit counts pythons check documents docs apart
	$(MAKE) --no-print-directory suite
	$(MAKE) --no-print-directory compliant
	$(MAKE) --no-print-directory kernel

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict postel
	$(BIN)/lint-imports --no-cache
	@mkdir -p build
	PYTHONPATH=.:$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
		$(BIN)/basedpyright --pythonpath $(BIN)/python --verifytypes postel --ignoreexternal > build/types.txt || \
		{ grep -B 1 'error:' build/types.txt; tail -3 build/types.txt; false; }

# The unit tests of the core, as plain Python: they cover its branches by themselves. All examples of their properties, and the
# soak tests, run in `suite`.
unit: .venv/dev
	rm -rf build/coverage && mkdir -p build/coverage
	POSTEL_EXAMPLES=brief POSTEL_LABELS=$(LABELS)/unit.json $(BIN)/pytest -q -m 'not soak' --cov --cov-report=term $(UNIT)

# What is read: docstrings, README, docs and examples run, and the source keeps its rules.
documents: .venv/dev
	POSTEL_LABELS=$(LABELS)/documents.json $(BIN)/pytest -q --doctest-modules postel $(wildcard tests/*.py)

# The documentation's site. A broken link, a public name without a text, or a page without a place in docs/index.md is an error.
docs: .venv/dev
	$(BIN)/python -m tools.docs.build build/docs

# All tests on the core as C: in a copy, so that the checkout stays plain Python.
suite: compile
	rm -rf $(COMPILED)/tests && cp -Rp tests docs tools bench $(wildcard examples) *.md LICENSE pyproject.toml Makefile $(COMPILED)
	cd $(COMPILED) && ../../$(BIN)/python -c 'import postel.tcp.connection as core; assert not core.__file__.endswith(".py"), core.__file__'
	cd $(COMPILED) && POSTEL_LABELS=$(LABELS)/suite.json ../../$(BIN)/pytest -q $(PARALLEL) tests \
		$(addprefix --ignore=,$(KERNEL) $(APART) $(OF_SOURCES))

# The compliance page is of those runs: still true, and no MUST open.
compliant: .venv/dev
	$(BIN)/python tools/compliance.py --check $(LABELS)/*.json

labels: unit documents suite

compliance: labels
	$(BIN)/python tools/compliance.py $(LABELS)/*.json

# The kernel's clock is real, and most of these tests wait most of the time. Each has a network namespace of its own, so four may run at once.
kernel: .venv/dev compile
	rm -rf $(COMPILED)/tests && cp -Rp tests tools bench pyproject.toml $(COMPILED)
	cd $(COMPILED) && ../../$(BIN)/pytest -q -n 4 --dist worksteal $(KERNEL)

# What pip makes of the source; the lab's page and the documentation's site in a browser.
apart: .venv/dev compile docs
	POSTEL_DOCS=$(CURDIR)/build/docs $(BIN)/pytest -q $(APART) --ignore=tests/packaging/test_instructions.py

# Instructions are counted on the compiled core, whatever else the machine does meanwhile.
counts: .venv/dev compile
	$(BIN)/pytest -q -rs tests/packaging/test_instructions.py

# The other Pythons, as far as they are found here: asyncio's insides differ from one to the next.
pythons: $(PYTHONS)

$(PYTHONS): python-%: .venv/dev
	tools/pythons $(BIN)/python $*

# A part of it is in the suite.
fuzz: .venv/dev compile
	rm -rf $(COMPILED)/tests && cp -Rp tests tools $(COMPILED)
	cd $(COMPILED) && ../../$(BIN)/python tools/fuzz.py $(PACKETS)

bench: .venv/dev peers
	-$(MAKE) compile
	$(BIN)/python -m bench --json build/figures.json --svg build/figures.svg

# Other stacks, to measure beside Postel: what can't be had is left out. They are programs of their own, and nothing of theirs is used.
peers: .venv/dev
	[ -x $(PMD)/bin/pytcpd ] || { $(BIN)/python -m venv $(PMD) && $(PMD)/bin/pip install -q --disable-pip-version-check pmd-pytcp==0.3.8; } \
		|| echo 'pmd-pytcp is left out: it could not be installed'
	[ build/gvisor -nt bench/adapter_gvisor.go ] || GO111MODULE=off GOPATH=/usr/share/gocode go build -o build/gvisor bench/adapter_gvisor.go \
		|| echo 'gVisor is left out: apt-get install --no-install-recommends golang-go golang-gvisor-gvisor-dev'

instructions: .venv/dev compile
	$(BIN)/python -m bench.instructions --commit

compile: $(COMPILED)/stamp
	$(COPY)  # what isn't compiled may be newer
	@echo 'compiled: PYTHONPATH=$(COMPILED) python …'

# From the source archive, so that it is tried too; cibuildwheel makes those for other platforms.
wheels: .venv/dev
	rm -rf dist && mkdir -p dist
	$(BIN)/python -c 'import setuptools.build_meta as backend; backend.build_sdist("dist")'
	POSTEL_COMPILE=0 $(BIN)/python -m pip wheel -q --no-build-isolation --no-deps -w dist dist/*.tar.gz
	POSTEL_COMPILE=1 $(BIN)/python -m pip wheel -q --no-build-isolation --no-deps -w dist dist/*.tar.gz

$(COMPILED)/stamp: $(CORE) setup.py .venv/dev
	rm -rf $(COMPILED)/postel $(COMPILED)/*.so && mkdir -p $(COMPILED)
	$(COPY) && cp -p setup.py pyproject.toml README.md $(COMPILED)
	cd $(COMPILED) && POSTEL_COMPILE=1 ../../$(BIN)/python setup.py -q build_ext --inplace >build.log 2>&1 || (cat build.log && false)
	touch $@

$(BIN)/python:
	$(PYTHON) -m venv --without-pip .venv

.venv/dev: pyproject.toml tools/system | $(BIN)/python
	tools/system $(PYTHON)
	$(BIN)/python -m ensurepip >/dev/null
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
