#!/bin/sh
# Writes the module file of one or more Kubernetes versions: make-modules.sh v1.37.2 v1.36.3
#
# A k8s.io/kubernetes go.mod points at ./staging/..., which its module zip does not hold. The module file written here
# requires what that go.mod requires, at the same versions, and sends every staging module to its published release
# (v1.37.2 -> v0.37.2). The newest version is go.mod, the others are kube-MINOR.mod, to be named by -modfile. The go
# command then tidies the file and adds the checksums of what the judge imports.
set -eu
cd "$(dirname "$0")"
newest=1.37

for version in "$@"; do
    minor=$(echo "$version" | sed -E 's/^v([0-9]+\.[0-9]+)\..*/\1/')
    staging="v0${version#v1}"
    if [ "$minor" = "$newest" ]; then file=go.mod; else file="kube-$minor.mod"; fi
    upstream=$(cd / && go mod download -json "k8s.io/kubernetes@$version" | sed -nE 's/^\t"GoMod": "(.*)",$/\1/p')
    {
        echo "// Written by make-modules.sh $version."
        echo
        echo "module numa-extender/judge"
        echo
        grep -E '^(go|godebug) ' "$upstream"
        echo
        echo "require k8s.io/kubernetes $version"
        echo
        sed -n '/^require (/,/^)/p' "$upstream" | sed -E "s/^(\tk8s\.io\/[^ ]+) v0\.0\.0( .*)?$/\1 $staging\2/"
        echo
        sed -n '/^replace (/,/^)/p' "$upstream" | sed -E "s/^(\t(k8s\.io\/[^ ]+)) => \.\/staging\/.*/\1 => \2 $staging/"
    } >"$file"
    tags="kube$(echo "$minor" | tr -d .)"
    go list -mod=mod -modfile="$file" -tags="$tags" -deps -test ./... >/dev/null
    echo "$file"
done
