# The two most important targets: `make lab` and `make test`. `make help` lists all.
.DEFAULT_GOAL := help
# With this variable, each of the many Python processes would compile all its imports again.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help setup lab lab-down test test-all test-rest test-faults test-soak figures times lint generated state lock clean \
	test-lint test-unit test-engine test-tools test-machines test-whole test-lab test-hub test-debian-12 test-properties

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 19

setup: ## install what is missing: Debian packages and .venv
	@lab/setup.sh

lab: setup ## the article's tunnel on this machine: start the cloud, run pulumi up, show the evidence
	@.venv/bin/lab up
	@.venv/bin/lab deploy
	@.venv/bin/lab evidence

lab-down: setup ## run pulumi destroy, then stop the cloud; safe at any time
	@.venv/bin/lab destroy || echo "make: pulumi destroy did not finish; the cloud is stopped anyway" >&2
	@.venv/bin/lab down

TIERS = .venv/bin/python -m tests.tiers

test: setup ## lint, unit, engine, tools, machines: what to run before a commit (13 to 18 min)
	@$(TIERS) test

test-all: setup ## that, and the longer tiers: whole, lab, hub, debian-12, properties (54 min)
	@$(TIERS) all

test-rest: setup ## the tiers of test-all that test does not have; WITHIN=SECONDS leaves out what does not fit
	@$(TIERS) rest $(if $(WITHIN),--within $(WITHIN))

# One target for each tier of tests/tiers.py.
test-lint: setup ## ruff, mypy (a minute more the first time), import-linter, shellcheck (0.1 min)
test-unit: setup ## decisions, rendering, exact resources; no root, no image, no network (1.3 min)
test-engine: setup ## the real engine against the emulated API, without machines (10 min)
test-tools: setup ## every rendered file read by the real tools of Debian 13, in chroots (1 min)
test-machines: setup ## one deployed stack: the article's evidence, a second `up`, faults, leaks, destroy (11 min)
test-whole: setup ## the engine's other tests: examples in each language, docs/changes.md, the stand-ins; the lab's own parts (15 min)
test-lab: setup ## the lab's own network and machines; a consumer's project and a NAT gateway with machines (15 min)
test-hub: setup ## a hub with machines: a spoke is added and taken away, then its monitoring is switched on (8 min)
test-debian-12: setup ## the tools tier on Debian 12 (1.1 min)
test-properties: setup ## the property tests with four times as many examples (1 min)
test-lint test-unit test-engine test-tools test-machines test-whole test-lab test-hub test-debian-12 test-properties:
	@$(TIERS) $(@:test-%=%)

test-faults: setup ## all scenarios on one stack: leaks, healing, diagnosis, peers; a table and a picture in .lab/faults/
	@.venv/bin/lab prepare --release debian-13 --release debian-12
	@LAB_TAKE_DOWN=1 .venv/bin/pytest --capture=no tests/scenarios

test-soak: setup ## an hour with a rekey every two minutes, which must lose no packet
	@.venv/bin/lab prepare
	@LAB_TAKE_DOWN=1 .venv/bin/pytest --capture=no tests/scenarios/test_soak.py --soak

lint: test-lint ## the same as test-lint

figures: setup ## measure the lab: seconds, memory, boots side by side; the lab must be down
	@.venv/bin/lab prepare
	@.venv/bin/python -m benchmarks.figures

times: setup ## measure the commands that people wait for; write the table in docs/architecture.md (hours)
	@.venv/bin/python -m benchmarks.times
	@WRITE_DOCUMENTS=1 .venv/bin/pytest tests/unit/test_times.py

generated: setup ## write all generated files: schema, reference, the deployer's IAM policy, tables in docs/
	@.venv/bin/python -m docs.generate
	@.venv/bin/lab prepare
	@WRITE_DOCUMENTS=1 .venv/bin/pytest tests/engine/test_iam.py tests/unit/test_tiers.py
	@WRITE_DOCUMENTS=1 .venv/bin/pytest --numprocesses=auto --dist=worksteal tests/engine/test_changes.py

state: setup ## keep the state that this version leaves, at its release: tests/engine/states
	@.venv/bin/lab prepare
	@.venv/bin/python -m tests.engine.released

lock: setup ## compile requirements*.txt from pyproject.toml and lab/pyproject.toml
	@lab/lock.sh

clean: lab-down ## remove everything that the lab has made, including caches
	@rm -rf .lab .venv
