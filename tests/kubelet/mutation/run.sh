#!/bin/sh
# Mutates the twin and holds every mutant against the golden verdicts: tests/kubelet/mutation/run.sh [MUTANT...]
#
# Works on a copy in build/mutation, so that nothing of it is seen by other tests. A mutant is a name as mutmut prints it
# (extender.kubelet.hints.x_narrowest_first__mutmut_1) and may have wildcards; without one all are run, which takes
# about an hour on two cores. Afterwards show.sh tells which survived, and how.
set -eu
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../../.." && pwd)"
work="$root/build/mutation"
mkdir -p "$work"
cp "$here/pyproject.toml" "$work/"
rm -rf "$work/extender" "$work/tests" "$work/mutants/tests"
mkdir -p "$work/tests/kubelet"
cp -r "$root/extender" "$work/"
cp -r "$root/tests/kubelet/proof" "$root/tests/kubelet/golden" "$root/tests/kubelet/test_golden.py" "$work/tests/kubelet/"
cd "$work"
PATH="$root/.venv/bin:$PATH" nice mutmut run --max-children "${CHILDREN:-2}" "$@"
