#!/bin/sh
# Tells how many mutants of the last run were killed, and prints what the survivors changed: show.sh [MUTANT...]
set -eu
root="$(cd "$(dirname "$0")/../../.." && pwd)"
cd "$root/build/mutation"
PATH="$root/.venv/bin:$PATH"
all="$(mutmut results --all true)"
echo "$all" | sed -n 's/.*: \(.*\)/\1/p' | sort | uniq -c
[ "$#" -gt 0 ] || set -- $(echo "$all" | sed -n 's/^ *\(.*\): \(survived\|no tests\|suspicious\)$/\1/p')
for mutant in "$@"; do
    mutmut show "$mutant"
done
