# make demo and make test work on a fresh machine with Python 3.11 or newer and make.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test dev lint types arch bench bench-accuracy docs check clean

demo: $(READY)  ## show the gate at work
	$(BIN)/initgate demo

# One process a processor: threads of torch and OpenBLAS would only wait for each other.
test: export OMP_NUM_THREADS := 1
test: $(READY)  ## all tests
	$(BIN)/python -m pytest -n auto

dev: $(READY)  ## install into .venv, with everything that development needs

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable '.[demo,heif,lists,sources,trust,proxy]'
	touch $(READY)

lint: $(READY)  ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## mypy, strict
	$(BIN)/mypy

arch: $(READY)  ## who may import whom
	$(BIN)/lint-imports

bench-accuracy: $(READY)  ## what is recognised, and what by mistake
	$(BIN)/python benchmarks/accuracy/run.py

docs: $(READY)  ## documentation against the code, sample lists against their photos
	$(BIN)/python -m pytest -q tests/test_docs.py
	$(BIN)/python hashlists/rebuild.py --check
	$(BIN)/python benign/rebuild.py --check

bench: $(READY)  ## speed, as ratios to a peer in the same run
	$(BIN)/python benchmarks/speed/run.py
	$(BIN)/python benchmarks/speed/search.py
	$(BIN)/python benchmarks/speed/kinds.py
	$(BIN)/python benchmarks/speed/reading.py
	$(BIN)/python benchmarks/speed/serve.py

check: lint types arch docs  ## everything but the tests

clean:  ## remove what make made
	rm -rf .venv var build dist
