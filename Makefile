# monge: `make demo` and `make test` are all a fresh machine needs; the rest is for people who change the code.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# One torch thread per process: two threads on a busy two-core machine can be ten times slower than one.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test slow lint bench docs clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip --constraint constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.14.1 torchvision==0.29.1
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m monge.ot.compiled
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/monge data get mnist
	$(BIN)/monge train mnist --out runs/demo --overwrite
	$(BIN)/monge report runs/demo

test: $(STAMP) lint
	$(BIN)/python -m pytest -n 2
	TRITON_INTERPRET=1 $(BIN)/python -m pytest -n 2 tests/ot/test_gpu_kernels.py tests/losses/test_gpu_pairs.py

slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

lint: $(STAMP)
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/losses.py

docs: $(STAMP)
	$(BIN)/python -m pytest tests/docs

clean:
	rm -rf $(VENV) build dist runs
