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
MUTANTS ?= *
PROOF := cd tests/kubelet && ../../$(BIN)/python -m

.PHONY: venv run test test-browser test-kubernetes lab judge judge-short golden mutation bench lint format protobuf clean

venv: $(STAMP)

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[extender,exporter]' --group dev
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

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis htmlcov
