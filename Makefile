# `make demo` and `make test` install what they need into $(VENV) and run; nothing else is needed but Python and git.
VENV ?= .venv
PYTHON ?= python3
DATA ?= data
PORT ?= 4200
bin := $(VENV)/bin
stamp := $(VENV)/.installed-$(shell cat requirements.lock pyproject.toml 2>/dev/null | cksum | cut -d' ' -f1)

# One thread per worker: two threads on a busy core are slower than one.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM = false
# Where bytecode may not be written, every process of a run or a test compiles torch and Prefect again: 20 s each time.
export PYTHONDONTWRITEBYTECODE =
# Training on the CPU; on a machine with GPUs set DS_ACCELERATOR=cuda.
export DS_ACCELERATOR ?= cpu

.PHONY: install demo up down test test-all test-gpu check lint types contracts unit e2e docs wheel bench samples

install: $(stamp)

# The lock names every package, so pip resolves nothing and a release elsewhere changes nothing. On a terminal one line
# counts the packages, elsewhere every twentieth is a line; the output of pip is in install.log.
$(stamp): requirements.lock pyproject.toml
	@$(if $(filter demo,$(MAKECMDGOALS)),cat flows/runtime/demo.txt)
	@echo "Installing $$(grep -c "==" requirements.lock) packages into $(VENV), once; this downloads several GB ..."
	test -x $(bin)/python || $(PYTHON) -m venv $(VENV)
	@{ $(bin)/python -m pip install --progress-bar off --no-deps --no-compile -r requirements.lock 2>&1; echo "exit $$?"; } \
	| awk -v total=$$(grep -c "==" requirements.lock) -v terminal=$$(test -t 1 && echo 1) -v log_file=$(VENV)/install.log \
	'{ print > log_file } \
	/^(Collecting|Requirement already satisfied)/ { number++; name = /^Coll/ ? $$2 : $$4; \
	  if (terminal) printf "\r%3d of %d  %-60.60s", number, total, name; else if (number % 20 == 1) print number " of " total "  " name } \
	/^Installing collected/ { print terminal ? "" : "Unpacking ..." } \
	/^ERROR/ { print } \
	/^exit / { code = $$2 } \
	{ fflush() } \
	END { exit code }'
	$(bin)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	rm -f $(VENV)/.installed-* && touch $@

demo: install
	$(bin)/valle demo --data $(DATA)

# The Prefect server, a worker per pool and all deployments; `make up PORT=4300 DATA=...` elsewhere.
up: install
	$(bin)/valle up --data $(DATA) --port $(PORT)

down:
	$(bin)/valle down --data $(DATA)

test: install check

# The tests leave a core idle now and then, which types and contracts use: they print when they are finished.
check: lint
	@{ found=$$($(MAKE) --no-print-directory types contracts 2>&1); code=$$?; printf '\n%s\n' "$$found"; exit $$code; } & \
	beside=$$!; $(MAKE) --no-print-directory unit; tests=$$?; \
	wait $$beside && exit $$tests

# Everything of `make test`, and the promises whose tests take minutes.
test-all: install lint types contracts
	$(bin)/python -m pytest -m 'not e2e and not machines and not gpu' --numprocesses 2 --dist loadfile --no-loadscope-reorder

# What needs a CUDA device; on a machine without one these tests are skipped.
test-gpu: install
	$(bin)/python -m pytest -m gpu

# CPU seconds and ratios of this machine as one table, each benchmark at its small size; with BENCH= at full size.
BENCH ?= --quick
bench: install
	$(bin)/python benchmarks/table.py $(BENCH)

lint:
	$(bin)/ruff check .
	$(bin)/ruff format --check .

types:
	$(bin)/mypy

contracts:
	$(bin)/lint-imports

# Files in their order: those of pipeline take longest and come early, so no core waits for them at the end.
unit:
	$(bin)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# For `pip install dist/valle-*.whl` elsewhere. An old build folder would add files that are gone.
wheel: install
	rm -rf build dist
	$(bin)/python -m pip wheel . --quiet --no-deps --no-build-isolation --wheel-dir dist

# The speech of README.md and docs/speaking.md, by the embedded checkpoint.
samples: install
	cd docs/samples && $(abspath $(bin))/valle speak --batch samples.tsv --run english

# The UI in a browser (chromium, and `pip install '.[e2e]'`), screenshots in build/screenshots. With PICTURES=docs/ui the
# pictures of docs/ui.md are made again.
e2e: install
	$(bin)/python -m pytest -m e2e tests/e2e
	@if [ -n "$(PICTURES)" ]; then cp build/screenshots/ui-*.png $(PICTURES)/; fi

docs: install
	$(bin)/python -m warehouse.tools.describe > docs/warehouse.md
	NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs build --quiet
