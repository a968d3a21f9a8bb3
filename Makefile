# Everything a developer or a first-time user needs; `make` alone lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INDEX ?= var/index
PORT ?= 8000
JOBS ?= 2
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: help install run test lint format docs eval bench lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'
	@echo
	@echo "  make run PORT=8010 INDEX=path/to/index   another port, another index"

install: $(VENV)/.installed ## Make .venv with the kb command in it

# torch comes first and alone: a later resolution then finds it installed and leaves other builds of it aside.
$(VENV)/.installed: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make install PYTHON=python3.12" >&2; exit 1; }
	@echo "installing into $(VENV): some minutes the first time, for torch" >&2
	$(PYTHON) -m venv $(VENV)
	$(PIP) install "$$(grep '^torch==' requirements.lock)"
	$(PIP) install --constraint requirements.lock --editable '.[dev]'
	@touch $@

# The port is tried before minutes go into an index.
run: install ## Index kb_articles/, serve console and demo help centre on this machine, print the addresses
	@$(BIN)/python -c 'import socket; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", $(PORT)))' 2>/dev/null || \
		{ echo "port $(PORT) is taken: make run PORT=$$(( $(PORT) + 10 ))" >&2; exit 2; }
	$(BIN)/kb index kb_articles --index $(INDEX)
	@echo "serving; Ctrl-C ends"
	@exec $(BIN)/kb serve --index $(INDEX) --port $(PORT) --demo

test: install ## Run every test, JOBS files at a time
	$(BIN)/pytest --numprocesses $(JOBS) --dist loadfile

lint: install ## Check style, types and the articles
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/kb lint kb_articles

format: install ## Put the code into the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install ## Write docs/cli.md from the commands
	$(BIN)/python -m tests.cli_page

eval: install ## Measure answers on the project's own tickets: var/eval/report/report.md
	$(BIN)/kb eval report eval/tickets --split test --calibrate-on dev --budget 0.05

bench: install ## Measure speed and memory beside txtai, Haystack and plain FAISS: half an hour
	$(BIN)/kb eval bench

lock: ## Write requirements.lock from what a fresh environment resolves to
	rm -rf var/lock && $(PYTHON) -m venv var/lock
	var/lock/bin/python -m pip install --quiet "$$(grep -o 'torch==[0-9.]*' pyproject.toml | head -1)"
	var/lock/bin/python -m pip install --quiet --editable '.[dev]'
	var/lock/bin/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > requirements.lock

# Not var itself: API keys, the ledger and what intake has still to write lie there beside the index.
clean: ## Remove everything that was built, the environment included; keys and state stay
	rm -rf $(VENV) var/index var/eval var/peers var/lock dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
