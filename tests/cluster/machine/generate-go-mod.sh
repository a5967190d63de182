#!/usr/bin/env bash
# Writes go.mod and go.sum for one release of Kubernetes:  machine/generate-go-mod.sh 1.37.2 3.7.0 [go.mod]
#
# k8s.io/kubernetes points at its own ./staging folder for the modules that are released beside it, and a module
# zip does not hold that folder: each such line becomes a replacement by the module of the same release.
set -euo pipefail
cd "$(dirname "$0")"

kubernetes=${1:?release of Kubernetes, such as 1.37.2}
etcd=${2:?release of etcd, such as 3.7.0}
file=${3:-go.mod}
staging=v0.${kubernetes#1.}
source=$(cd / && go mod download -json "k8s.io/kubernetes@v$kubernetes" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')

{
    echo "module numa-extender/tests/cluster/machine"
    echo
    sed -n 's/^go /go /p' "$source"
    echo
    echo "tool ("
    echo "	go.etcd.io/etcd/server/v3"
    echo "	k8s.io/kubernetes/cmd/kube-apiserver"
    echo "	k8s.io/kubernetes/cmd/kube-scheduler"
    echo ")"
    echo
    echo "require ("
    echo "	go.etcd.io/etcd/server/v3 v$etcd"
    echo "	k8s.io/kubernetes v$kubernetes"
    echo ")"
    echo
    echo "replace ("
    sed -n "s|^\s*\(k8s.io/[a-z-]*\) => ./staging/.*|	\1 => \1 $staging|p" "$source"
    echo ")"
} >"new-$file"
go mod tidy -modfile="new-$file"
mv "new-$file" "$file"
mv "new-${file%.mod}.sum" "${file%.mod}.sum"
