# Everything runs in an environment of its own, .venv, made on first use.
#   make demo              evaluate real models on real data; prints where the reports are
#   make demo TORCH=cpu    the same, with the CPU build of torch (0.2 GB instead of 4)
#   make test              the whole test suite
PYTHON ?= python3
TORCH ?= default
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
OUT ?= runs

.PHONY: demo test coverage lint typecheck bench simulate parity docs clean

demo: $(VENV)/.installed
	$(BIN)/geneval demo --out $(OUT)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto

coverage: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --cov

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(VENV)/.installed-dev
	rm -rf build/typing build/lib
	$(PIP) install --no-deps --target build/typing .
	MYPYPATH=build/typing $(BIN)/mypy -p geneval

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/performance.py docs/performance.md

simulate: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/simulate.py docs/statistics.md
	$(BIN)/python benchmarks/collapse.py docs/mode-collapse.md

parity: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/parity --parity-table docs/parity.md

docs: $(VENV)/.installed-dev
	$(BIN)/python docs/build.py

clean:
	rm -rf $(VENV) build dist *.egg-info runs

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
ifeq ($(TORCH),cpu)
	-$(PIP) --timeout 20 --retries 0 install -c constraints.txt \
	  --index-url https://download.pytorch.org/whl/cpu torch torchvision
endif

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install -c constraints.txt -e '.[dev]'
	$(PIP) install -c constraints.txt --no-deps torchattacks  # it pins a requests of 2020
	touch $@
