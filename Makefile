# The two that matter: `make lab` and `make test`. `make help` lists all.
.DEFAULT_GOAL := help
.PHONY: help setup lab lab-down test test-unit test-engine test-lab test-faults test-faults-brief test-soak figures lint generated state lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 19

setup: ## install what is missing: Debian packages and .venv
	@lab/setup.sh

lab: setup ## the article's tunnel on this machine: start the cloud, pulumi up, show the evidence
	@.venv/bin/lab up
	@.venv/bin/lab deploy
	@.venv/bin/lab evidence

lab-down: setup ## pulumi destroy, then stop the cloud; safe at any moment
	@.venv/bin/lab destroy || echo "make: pulumi destroy did not finish; the cloud is stopped all the same" >&2
	@.venv/bin/lab down

test: lint test-unit test-engine test-lab test-faults-brief ## all but the whole fault table and the soak

test-unit: setup ## decisions, rendering, exact resources, every file read by the tools of both Debian releases
	@.venv/bin/lab prepare --release debian-13 --release debian-12
	@.venv/bin/pytest tests/unit

test-engine: setup ## the real engine against the emulated API, without machines
	@.venv/bin/lab prepare
	@.venv/bin/pytest tests/engine

test-lab: setup ## the whole lab with virtual machines; takes a running one down
	@.venv/bin/lab prepare
	@LAB_TAKE_DOWN=1 .venv/bin/pytest tests/lab

test-faults: setup ## every fault on one stack: leaks, healing, diagnosis, peers; a table and a picture in .lab/faults/
	@.venv/bin/lab prepare --release debian-13 --release debian-12
	@LAB_TAKE_DOWN=1 .venv/bin/pytest --capture=no tests/faults

test-faults-brief: setup ## nothing leaks and all heals, without limits on time: a busy machine is no failure
	@.venv/bin/lab prepare
	@LAB_TAKE_DOWN=1 .venv/bin/pytest --capture=no tests/faults -m brief --untimed

test-soak: setup ## an hour with a rekey every two minutes must lose no packet
	@.venv/bin/lab prepare
	@LAB_TAKE_DOWN=1 .venv/bin/pytest --capture=no tests/faults/test_soak.py --soak

figures: setup ## seconds and memory of the lab, boots side by side; needs the lab to be down
	@.venv/bin/lab prepare
	@.venv/bin/python -m benchmarks.figures

lint: setup ## ruff, mypy, shellcheck
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@shellcheck $$(git ls-files '*.sh')

generated: setup ## make anew what is generated: schema, reference, the deployer's IAM policy, tables in docs/
	@.venv/bin/python -m docs.generate
	@.venv/bin/lab prepare
	@WRITE_DOCUMENTS=1 .venv/bin/pytest tests/engine/test_iam.py tests/engine/test_changes.py

state: setup ## keep the state that this version leaves, at its release: tests/engine/states
	@.venv/bin/lab prepare
	@.venv/bin/python -m tests.engine.released

lock: setup ## compile requirements*.txt anew from pyproject.toml and lab/pyproject.toml
	@lab/lock.sh

clean: lab-down ## remove everything the lab ever made, caches too
	@rm -rf .lab .venv
