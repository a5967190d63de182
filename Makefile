# numa-extender: `make run` shows it, `make test` proves it with Python alone, `make test-kubernetes` against real
# Kubernetes code. Parameters stand after the target: make judge COUNT=1000000 VERSIONS="1.37 1.36".
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

COUNT ?= 1000000
VERSIONS ?= 1.37 1.36
SEED ?= 1
JUDGE_SECONDS ?= 300
JUDGE_SEED ?= $(shell date +%F)
LAB ?= .
SOAK_SECONDS ?= 60
LOCK = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock'
PART ?=
MUTANTS ?= *
PROOF := cd tests/kubelet && ../../$(BIN)/python -m

.PHONY: venv run test test-browser test-image test-kubernetes lab judge judge-short golden mutation bench lint format protobuf \
	lock audit sbom soak clean

venv: $(STAMP)

$(STAMP): pyproject.toml requirements/dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(STAMP)

## The extender on the sample inventory, no cluster needed.
run: venv
	$(BIN)/numa-extender demo

## Every test that needs only Python.
test: venv
	$(BIN)/python -m pytest -n 2 --dist worksteal

## The page, in Debian's Chromium (packages chromium and chromium-driver).
test-browser: venv
	$(BIN)/python -m pytest -m browser tests/browser

## The Dockerfile's commands in a fresh folder; what they install starts with the arguments of the manifests.
test-image: venv
	$(BIN)/python -m pytest -m image tests/deploy

## Everything that runs Kubernetes' own code: the judge of verdicts, then real clusters.
test-kubernetes: judge-short lab

lab: venv
	tests/cluster/build.sh
	tests/cluster/build.sh 1.36
	cd tests/cluster && ../../$(BIN)/python -m pytest -m cluster $(LAB)

## Twin and kubelet on COUNT admissions of each of VERSIONS: no difference, or exit code 1.
judge: venv
	tests/kubelet/judge/build.sh $(VERSIONS)
	$(PROOF) proof.compare --count $(COUNT) --seed $(SEED) $(addprefix --version ,$(VERSIONS))

## The same for JUDGE_SECONDS seconds of each version, with new cases every day.
judge-short: venv
	tests/kubelet/judge/build.sh $(VERSIONS)
	! command -v go >/dev/null || (cd tests/kubelet/judge && go test ./...)
	$(PROOF) proof.compare --seconds $(JUDGE_SECONDS) --seed $(JUDGE_SEED) $(addprefix --version ,$(VERSIONS))

## The verdicts that `make test` holds the twin against, made anew by the judge.
golden: venv
	tests/kubelet/judge/build.sh $(VERSIONS)
	$(PROOF) proof.golden

## Is the proof any good? Mutants of the twin against the golden verdicts and the unit tests; those that live are written
## to build/mutation/survivors.diff. MUTANTS are names with wildcards.
mutation: venv
	$(BIN)/python -m pip install --quiet --group mutation
	$(PROOF) mutation.run --only '$(MUTANTS)'

## Figures of speed, memory and placement: tables, and JSON in build/bench. One part, with its options, or what is wanted
## held against the figures there are: make bench PART="verbs --nodes 5000"; make bench PART=targets; PART=--help.
bench: venv
	cd tests && PYTHONPATH=.. ../$(BIN)/python -m bench $(PART)

## The exporter's PodResources messages, made anew from their .proto.
protobuf: venv
	$(BIN)/python -m grpc_tools.protoc --proto_path=. --python_out=. --pyi_out=. extender/exporter/podresources.proto

lint: venv
	$(BIN)/ruff check extender tests
	$(BIN)/ruff format --check extender tests
	$(BIN)/mypy
	$(BIN)/lint-imports

format: venv
	$(BIN)/ruff format extender tests
	$(BIN)/ruff check --fix extender tests

## requirements/ made anew from pyproject.toml: the newest versions that it allows, with hashes.
lock: venv
	$(LOCK) --group build -o requirements/build.txt
	$(LOCK) --extra extender -o requirements/extender.txt pyproject.toml
	$(LOCK) --extra exporter -o requirements/exporter.txt pyproject.toml
	$(LOCK) --all-extras --group dev --group build -o requirements/dev.txt pyproject.toml

## Whether a known vulnerability is in what the images hold.
audit: venv
	$(BIN)/pip-audit --strict --disable-pip --require-hashes $(foreach p,extender exporter build,-r requirements/$(p).txt)

## What is in each image, as CycloneDX in build/sbom/, and the table of licences in docs/licences.md.
sbom: venv
	for program in extender exporter; do \
	    $(PYTHON) -m venv --clear --without-pip build/sbom/$$program && \
	    $(BIN)/python -m pip --python build/sbom/$$program/bin/python install --quiet --require-hashes \
	        -r requirements/$$program.txt && \
	    $(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	        -o build/sbom/numa-$$program.cdx.json build/sbom/$$program/bin/python || exit 1; done
	$(BIN)/python requirements/licences.py build/sbom/numa-*.cdx.json >docs/licences.md

## Slow, silent, malformed and very many clients for SOAK_SECONDS seconds; prints what became of good ones.
soak: venv
	cd tests/deploy && ../../$(BIN)/python soak.py --seconds $(SOAK_SECONDS)

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis htmlcov
