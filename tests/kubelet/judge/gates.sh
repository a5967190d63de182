#!/bin/sh
# Prints the feature gates that a kubelet accepts: gates.sh MODULE_FILE, e.g. gates.sh go.mod or gates.sh kube-1.36.mod.
# A name after + is locked on, one after - locked off.
set -eu
here="$(cd "$(dirname "$0")" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cp "$here/$1" "$work/go.mod"
cat >"$work/main.go" <<'GO'
package main

import (
	"fmt"
	"slices"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"
	_ "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	all := utilfeature.DefaultMutableFeatureGate.GetAll()
	names := []featuregate.Feature{}
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		lock := ""
		if all[name].LockToDefault {
			lock = map[bool]string{true: "+", false: "-"}[all[name].Default]
		}
		fmt.Println(lock + string(name))
	}
}
GO
cd "$work"
go mod tidy >/dev/null 2>&1
go run -buildvcs=false .
