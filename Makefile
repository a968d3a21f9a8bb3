# Everything a developer or a first-time user needs; `make` alone lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INDEX ?= var/index
PORT ?= 8000

.PHONY: help install run test lint format eval bench lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

install: $(VENV)/.installed ## Make .venv with the kb command in it

# torch comes first and alone: a later resolution then finds it installed and leaves other builds of it aside.
$(VENV)/.installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.lock)"
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[dev]'
	touch $@

run: install ## Index kb_articles/ and serve console and widget demo on loopback
	$(BIN)/kb index kb_articles --index $(INDEX)
	$(BIN)/kb serve --index $(INDEX) --port $(PORT) --demo

test: install ## Run every test
	$(BIN)/pytest

lint: install ## Check style, types and the articles
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/kb lint kb_articles

format: install ## Put the code into the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

eval: install ## Measure answers on the project's own tickets
	$(BIN)/kb eval run eval/tickets --split test

bench: install ## Measure speed and memory beside txtai, Haystack and plain FAISS
	$(BIN)/kb eval bench

lock: ## Write requirements.lock from what a fresh environment resolves to
	rm -rf var/lock && $(PYTHON) -m venv var/lock
	var/lock/bin/pip install --quiet "$$(grep -o 'torch==[0-9.]*' pyproject.toml | head -1)"
	var/lock/bin/pip install --quiet --editable '.[dev]'
	var/lock/bin/pip freeze --exclude-editable | sed 's/+cpu$$//' > requirements.lock

clean: ## Remove everything that was built, the environment included
	rm -rf $(VENV) var dist .mypy_cache .ruff_cache .pytest_cache
