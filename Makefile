# The two that matter: `make lab` and `make test`. `make help` lists all.
.DEFAULT_GOAL := help
.PHONY: help setup lab lab-down test test-unit test-engine test-lab figures lint lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## install what is missing: Debian packages and .venv
	@lab/setup.sh

lab: setup ## the article's tunnel on this machine: start the cloud, pulumi up, show the evidence
	@.venv/bin/lab up
	@.venv/bin/lab deploy
	@.venv/bin/lab evidence

lab-down: setup ## pulumi destroy, then stop the cloud; safe at any moment
	@.venv/bin/lab destroy || echo "make: pulumi destroy did not finish; the cloud is stopped all the same" >&2
	@.venv/bin/lab down

test: lint test-unit test-engine test-lab ## everything that can be tested on one machine

test-unit: setup ## decisions, rendering, exact resources, every file read by the tools of both Debian releases
	@.venv/bin/lab prepare --release debian-13 --release debian-12
	@.venv/bin/pytest tests/unit

test-engine: setup ## the real engine against the emulated API, without machines
	@.venv/bin/lab prepare
	@.venv/bin/pytest tests/engine

test-lab: setup ## the whole lab with virtual machines; takes a running one down
	@.venv/bin/lab prepare
	@LAB_TAKE_DOWN=1 .venv/bin/pytest tests/lab

figures: setup ## seconds and memory of the lab, boots side by side; needs the lab to be down
	@.venv/bin/lab prepare
	@.venv/bin/python -m benchmarks.figures

lint: setup ## ruff, mypy, shellcheck
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@shellcheck $$(git ls-files '*.sh')

lock: setup ## compile requirements*.txt anew from pyproject.toml and lab/pyproject.toml
	@lab/lock.sh

clean: lab-down ## remove everything the lab ever made, caches too
	@rm -rf .lab .venv
