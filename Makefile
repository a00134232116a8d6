# make demo     train, evaluate, draw and quantize LeNet-5 on real digits
# make test     what CI runs on this Python: each of the two pins of jax has half of the parameter sets of a test
# make docs     the documentation as a site in build/site
# make test-metrics   the tests of one room, for each folder of tests/; make test-times prints what each file costs
# Both create .venv and install what they need on the first call.

PYTHON ?= python3
# PyTorch is an oracle of the tests: on by default where its pinned version has been tried, and `make test TORCH=` leaves it out.
TORCH ?= $(if $(findstring Python 3.11.,$(shell $(PYTHON) --version)),torch)
BIN := .venv/bin
comma := ,
DEMO := demo/digits_lenet

# Tests start other processes, and each would compile every module anew where nothing is kept.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-slow test-times fuzz mutate lint docs clean

demo: .venv/.installed
	@echo "== 1/4 train LeNet-5 on scikit-learn's digits"
	$(BIN)/python -m experiments.train configs/digits_lenet.py --run-dir $(DEMO)
	@echo "== 2/4 evaluate the best epoch on the test part"
	$(BIN)/python -m experiments.evaluate $(DEMO)
	@echo "== 3/4 draw learning curves, confusion matrix, filters and mistakes"
	$(BIN)/python -m experiments.plot $(DEMO)
	@echo "== 4/4 quantize the weights to int8"
	$(BIN)/python -m experiments.quantize $(DEMO)

test: .venv/.installed-test lint
	@echo "== tests (about 10 minutes on 2 cores)"
	$(BIN)/python -m pytest -n 2 -m "not slow and not fuzz" tests

test-%: .venv/.installed-test
	$(BIN)/python -m pytest -n 2 -m "not slow and not fuzz" tests/$*

test-times: .venv/.installed-test
	$(BIN)/python -m pytest -n 2 -m "not slow and not fuzz" -p tests.running.times tests

test-slow: .venv/.installed-test
	FJDL_TEST_OPTIMIZED=1 $(BIN)/python -m pytest -n 2 -m slow tests

fuzz: .venv/.installed-test
	FJDL_TEST_OPTIMIZED=1 $(BIN)/python -m pytest -n 2 -m fuzz tests/fuzz
	@echo "== readers of files, guided by coverage (about 6 minutes)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[fuzz]"
	$(BIN)/python -m tests.fuzz.parsers.guided --inputs 70000 --seconds 16

N ?= 200
mutate: .venv/.installed-test
	$(BIN)/python -m tests.mutation $(N)

lint: .venv/.installed-test
	@echo "== ruff and pyright"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

docs: .venv/.installed-docs
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --builder html --conf-dir docs . build/site
	@echo "== the site begins at build/site/index.html"

.venv/bin/python:
	@echo "== creating .venv with $$($(PYTHON) --version)"
	$(PYTHON) -m venv .venv

.venv/.installed: pyproject.toml .venv/bin/python
	@echo "== installing fjdl into .venv (a minute or two, once)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.installed-test: .venv/.installed
	@echo "== installing what the tests need (a minute or two, once)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test,dev$(addprefix $(comma),$(TORCH))]"
	@touch $@

.venv/.installed-docs: .venv/.installed
	@echo "== installing what the site needs (half a minute, once)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	@touch $@

clean:
	rm -rf .venv demo runs build docs/api *.egg-info
