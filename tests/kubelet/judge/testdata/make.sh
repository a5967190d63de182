#!/bin/sh
# Makes cases.jsonl and the judges' answers anew: testdata/make.sh (after build.sh 1.37 1.36 1.35)
set -eu
cd "$(dirname "$0")"
judges="${JUDGE_DIR:-../../../../build/judge}"

"${PYTHON:-python3}" ../cases.py >cases.jsonl
for minor in 1.37 1.36 1.35; do
    sed "s/\"version\": \"1.37\"/\"version\": \"$minor\"/" cases.jsonl | "$judges/judge-$minor" -timeout 3s >"answers-$minor.jsonl"
done
