#!/usr/bin/env bash
# Writes the module file of one release of Kubernetes:  machine/generate-go-mod.sh 1.37.2
#
# k8s.io/kubernetes points at its own ./staging folder for the modules that are released beside it, and a module zip does not
# hold that folder. The file written here requires what its go.mod requires, at the same versions, and replaces each staging
# module by the module of the same release. The newest release is go.mod and has the control plane; the others are
# kube-MINOR.mod and only have the kubelet. Not for `go mod tidy`, which would mix the releases.
set -euo pipefail
cd "$(dirname "$0")"
newest=1.37

release=${1:?release of Kubernetes, such as 1.37.2}
minor=${release%.*}
staging=v0.${release#1.}
source=$(cd / && go mod download -json "k8s.io/kubernetes@v$release" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
file=kube-$minor.mod packages=(./cmd/kubelet-on-machine)
if [ "$minor" = "$newest" ]; then
    file=go.mod packages=(./... tool)
fi
trap 'rm -f new.mod new.sum' EXIT

{
    echo "// Written by generate-go-mod.sh $release."
    echo
    echo "module numa-extender/tests/cluster/machine"
    echo
    grep -E '^(go|godebug) ' "$source"
    if [ "$file" = go.mod ]; then
        echo
        echo "tool ("
        echo "	go.etcd.io/etcd/server/v3"
        echo "	k8s.io/kubernetes/cmd/kube-apiserver"
        echo "	k8s.io/kubernetes/cmd/kube-scheduler"
        echo "	k8s.io/kubernetes/cmd/kubectl"
        echo ")"
    fi
    echo
    echo "require k8s.io/kubernetes v$release"
    echo
    sed -n '/^require (/,/^)/p' "$source" | sed -E "s|^(\tk8s\.io/[^ ]+) v0\.0\.0( .*)?$|\1 $staging\2|"
    echo
    sed -n '/^replace (/,/^)/p' "$source" | sed -E "s|^(\t(k8s\.io/[^ ]+)) => \./staging/.*|\1 => \2 $staging|"
} >new.mod
go list -modfile=new.mod -mod=mod -deps -tags "kube${minor/./}" "${packages[@]}" >/dev/null
mv new.mod "$file"
mv new.sum "${file%.mod}.sum"
