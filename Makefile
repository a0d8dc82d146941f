# Needs git, make and python3 with venv. All else is installed from PyPI under .venv/ when it is first needed.

PYTHON ?= python3
export PYTHONPATH := $(CURDIR)/lib:$(CURDIR)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test test-here test-everywhere prove coverage cases chaos plain mutants conformance on-juju check lint types format bench clean

help: ## List what make can do here; this is what a plain `make` does.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s%s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: .venv/.demo ## Show SCENE=roll, restart, lost-unit, hold-until-healthy or upgrade; takes UNITS=, JUJU=3 or 4, SLOTS=, SEED=, OUTPUT=.
	@.venv/bin/python -m examples.demo $(if $(SCENE),--scene $(SCENE)) $(if $(UNITS),--units $(UNITS)) \
	  $(if $(JUJU),--juju $(JUJU)) $(if $(SLOTS),--slots $(SLOTS)) $(if $(SEED),--seed $(SEED)) $(if $(OUTPUT),--output '$(OUTPUT)')

test: .venv/.demo .venv/.test .venv/.on-juju .venv/charm-tools/.ready ## Test all but what is marked long on python3, and a share on each other Python from 3.8 to 3.14 there is.
	@.venv/bin/python tests/pythons.py

test-here: .venv/.demo .venv/.test .venv/.on-juju .venv/charm-tools/.ready ## The same on python3 alone.
	@.venv/bin/python tests/pythons.py --here

test-everywhere: .venv/.demo .venv/.test .venv/.on-juju .venv/charm-tools/.ready ## Test all on each Python from 3.8 to 3.14 there is.
	@.venv/bin/python tests/pythons.py --everywhere

prove: .venv/.demo .venv/.test ## Visit every history of every small world, then check the model in Promela with spin; takes WORLD=.
	@.venv/bin/python tests/proofs/prove.py $(WORLD)
	@$(if $(WORLD),,.venv/bin/python tests/proofs/spin.py)

chaos: .venv/.demo .venv/.test ## Live through random histories of the whole stack: SEEDS=1000 of them, or tell SEED=17; takes ONLY=, LOCK=.
	@.venv/bin/python tests/campaigns/chaos.py $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FIRST),--first $(FIRST)) \
	  $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY)) $(if $(LOCK),--lock $(LOCK))

plain: .venv/.demo .venv/.test ## Live through random histories in which nothing goes wrong: SEEDS=1000 of them, or tell SEED=17.
	@.venv/bin/python tests/campaigns/plain.py $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FIRST),--first $(FIRST)) \
	  $(if $(SEED),--seed $(SEED))

coverage: .venv/.demo .venv/.test ## Measure which lines and branches of lib/ the tests reach; below 95 % it fails. The tracer takes its time.
	@.venv/bin/python -m pytest -n 2 --dist worksteal -q --cov --cov-report term-missing:skip-covered tests/unit tests/hooks tests/compat

cases: .venv/.demo .venv/.test ## Run every input that was found to fail, and each stroke of the campaign, with those that `make test` leaves out.
	@.venv/bin/python -m pytest -n 2 --dist worksteal -q -m '' -k 'cases or found or by_one_stroke' tests/hooks tests/campaigns

mutants: .venv/.demo .venv/.test ## Break each rule of the layer on purpose, and show which test notices, and how soon.
	@.venv/bin/python tests/campaigns/mutants.py

conformance: .venv/.demo .venv/.test ## Judge the local Juju by what a real one keeps: HISTORIES=2000 of them, or tell SEED=17.
	@.venv/bin/python tests/conformance/campaign.py $(if $(HISTORIES),--histories $(HISTORIES)) $(if $(SEED),--seed $(SEED))

on-juju: .venv/.demo .venv/.test .venv/.on-juju ## Play rolls and faults on a Juju controller; takes MODEL=, UNITS=, SCENES=, KEEP=1, JUJU=, CHARM=, LOCAL=3 or 4.
	@.venv/bin/python tests/onjuju/play.py $(if $(MODEL),--model $(MODEL)) $(if $(UNITS),--units $(UNITS)) \
	  $(if $(SCENES),--scenes '$(SCENES)') $(if $(KEEP),--keep) $(if $(JUJU),--juju '$(JUJU)') \
	  $(if $(LOCAL),--local $(LOCAL)) $(if $(CHARM),--charm '$(CHARM)') $(if $(BASE),--base $(BASE)) \
	  $(if $(WORK),--work $(WORK)) $(if $(PATIENCE),--patience $(PATIENCE)) $(if $(OUTPUT),--output '$(OUTPUT)')

check: lint types test ## Check format, lint and types, then do what `make test` does; .ci/run does this.

lint: .venv/.check ## Check format and lint with ruff.
	@.venv/bin/ruff format --check --quiet --diff .
	@.venv/bin/ruff check --quiet .

types: .venv/.demo .venv/.check ## Check the types of the layer's library with mypy.
	@.venv/bin/mypy --no-error-summary

format: .venv/.check ## Rewrite the Python files in the project's format.
	@.venv/bin/ruff format --quiet .

bench: .venv/.demo .venv/.test ## Measure what the layer costs, beside charmhelpers.coordinator; takes ONLY=, UNITS='3 10', CPU_UNITS='10 30', PEER_UP_TO=, SEED=, SEEDS=, OUTPUT=.
	@.venv/bin/python benchmarks/bench.py $(if $(UNITS),--units $(UNITS)) $(if $(PEER_UP_TO),--peer-up-to $(PEER_UP_TO)) \
	  $(if $(ONLY),--only $(ONLY)) $(if $(CPU_UNITS),--cpu-units $(CPU_UNITS)) \
	  $(if $(SEEDS),--seeds $(SEEDS) --order-seeds $(SEEDS)) \
	  $(if $(SEED),--seed $(SEED)) $(if $(OUTPUT),--output '$(OUTPUT)')

clean: ## Remove .venv/ and every cache, so that the next target installs again.
	@rm -rf .venv .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +


# Virtual environments: .venv/ itself, .venv/charm-tools/, and of tests/pythons.py .venv/3.8/ to .venv/3.14/.

.venv/.demo: requirements/demo.txt requirements/layer.txt
	$(call install,.venv,requirements/demo.txt)

.venv/.test: requirements/test.txt requirements/layer.txt
	$(call install,.venv,requirements/test.txt)

.venv/.on-juju: requirements/on-juju.txt
	$(call install,.venv,requirements/on-juju.txt)

.venv/.check: requirements/check.txt
	$(call install,.venv,requirements/check.txt)

.venv/charm-tools/.ready: requirements/charm-tools.txt
	$(call install,.venv/charm-tools,requirements/charm-tools.txt)

# $(call install,DIRECTORY,REQUIREMENTS): one line on the terminal, and pip's own words only if it fails.
define install
@mkdir -p $(@D); printf 'Setting up %s from %s ... ' $(1) $(2); began=$$(date +%s); \
{ test -x $(1)/bin/pip || $(PYTHON) -m venv $(1); } >$@.log 2>&1 && \
$(1)/bin/python -m pip install --disable-pip-version-check --quiet --requirement $(2) >>$@.log 2>&1 || \
{ echo failed; cat $@.log; exit 1; }; \
rm $@.log; touch $@; echo "$$(($$(date +%s) - began)) s"
endef
