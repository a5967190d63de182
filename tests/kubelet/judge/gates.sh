#!/bin/sh
# Prints the feature gates that a kubelet accepts: gates.sh MODULE_FILE, e.g. gates.sh go.mod or gates.sh kube-1.36.mod.
# in the form of extender/kubelet/gate_table.py.
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
	"strings"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"
	_ "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	gate := utilfeature.DefaultMutableFeatureGate
	all, needs := gate.GetAll(), gate.Dependencies()
	names := []featuregate.Feature{}
	for name := range all {
		if name != "AllAlpha" && name != "AllBeta" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		stage := map[string]string{"ALPHA": "alpha", "BETA": "beta", "DEPRECATED": "deprecated", "": "stable"}[string(all[name].PreRelease)]
		if all[name].LockToDefault {
			stage = "locked"
		}
		letter := stage[:1]
		if all[name].Default {
			letter = strings.ToUpper(letter)
		}
		line := fmt.Sprintf("%s:%s", name, letter)
		if len(needs[name]) > 0 {
			list := []string{}
			for _, need := range needs[name] {
				list = append(list, string(need))
			}
			slices.Sort(list)
			line += "<" + strings.Join(list, "+")
		}
		fmt.Println(line)
	}
}
GO
cd "$work"
go mod tidy >/dev/null 2>&1
go run -buildvcs=false .
