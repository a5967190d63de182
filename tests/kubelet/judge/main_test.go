package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"numa-extender/judge/kubelet"
	"numa-extender/judge/replay"
)

// TestMain lets the supervisor start this test program as its worker.
func TestMain(m *testing.M) {
	if !slices.Contains(os.Args[1:], "-worker") {
		os.Exit(m.Run())
	}
	o := options{timeout: testTimeout, state: slices.Contains(os.Args, "-state=true"), files: slices.Contains(os.Args, "-files=true")}
	if err := work(mortal{os.Stdin}, os.Stdout, o); err != nil {
		panic(err)
	}
}

const (
	testTimeout = 3 * time.Second
	deadly      = "this case ends the process"
)

// mortal ends the process when it reads of it, as the kubelet's code might.
type mortal struct{ io.Reader }

func (m mortal) Read(b []byte) (int, error) {
	n, err := m.Reader.Read(b)
	if bytes.Contains(b[:n], []byte(deadly)) {
		fmt.Fprintln(os.Stderr, "fatal error: so be it")
		os.Exit(7)
	}
	return n, err
}

// ask runs the supervisor on lines.
func ask(t *testing.T, o options, lines ...string) []replay.Answer {
	t.Helper()
	o.timeout = testTimeout
	out := &bytes.Buffer{}
	if err := supervise(strings.NewReader(strings.Join(lines, "\n")), out, o); err != nil {
		t.Fatal(err)
	}
	return parseAnswers(t, out.String())
}

func parseAnswers(t *testing.T, text string) []replay.Answer {
	t.Helper()
	var answers []replay.Answer
	for line := range strings.Lines(text) {
		answer := replay.Answer{}
		if err := json.Unmarshal([]byte(line), &answer); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		answers = append(answers, answer)
	}
	return answers
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// handMade returns the cases of testdata in this judge's version; with ids, only those, in that order.
func handMade(t *testing.T, ids ...string) []string {
	t.Helper()
	text := strings.ReplaceAll(read(t, "cases.jsonl"), `"version": "1.37"`, fmt.Sprintf(`"version": %q`, kubelet.Version))
	all := strings.Split(strings.TrimSpace(text), "\n")
	if len(ids) == 0 {
		return all
	}
	var chosen []string
	for _, id := range ids {
		i := slices.IndexFunc(all, func(line string) bool { return strings.HasPrefix(line, fmt.Sprintf(`{"id": %q,`, id)) })
		if i < 0 {
			t.Fatalf("no case %q", id)
		}
		chosen = append(chosen, all[i])
	}
	return chosen
}

func equal(t *testing.T, what string, expected, actual any) {
	t.Helper()
	if !reflect.DeepEqual(expected, actual) {
		t.Errorf("%s:\nexpected %+v\nactual   %+v", what, expected, actual)
	}
}

func TestTheMissionsExampleIsAnsweredAsRealKubeletsDid(t *testing.T) {
	if kubelet.Version == "1.35" {
		t.Skip("1.35 has no pod-level managers")
	}
	verdicts := ask(t, options{state: true}, handMade(t, "mission: pod scope, gate on")...)[0].Verdicts
	equal(t, "verdicts", 4, len(verdicts))
	for i, expected := range []struct{ pod, db, rest string }{
		{"1-4,17-20", "1-3,17-19", "4,20"}, {"8-11,24-27", "8-10,24-26", "11,27"}, {"12-15,28-31", "12-14,28-30", "15,31"},
	} {
		equal(t, "podCpus", expected.pod, verdicts[i].PodCPUs)
		equal(t, "cpus", map[string]string{"db": expected.db, "log": expected.rest, "web": expected.rest}, verdicts[i].CPUs)
		equal(t, "podMemory", []replay.Block{{Type: "memory", Size: 16 << 30, NUMA: []int{min(i, 1)}}}, verdicts[i].PodMemory)
	}
	equal(t, "the fourth pod", "TopologyAffinityError", verdicts[3].Reason)
	equal(t, "default set", "0,5-7,16,21-23", verdicts[3].State.DefaultCPUSet)
	equal(t, "free in zone 1", uint64(32<<30), verdicts[3].State.Memory["1"].Types["memory"].Free)
}

func TestEveryHandMadeCaseIsAnsweredAsRecorded(t *testing.T) {
	expected := parseAnswers(t, read(t, fmt.Sprintf("answers-%s.jsonl", kubelet.Version)))
	compare(t, expected, ask(t, options{}, handMade(t)...))
}

func TestSeveralWorkersKeepTheOrder(t *testing.T) {
	compare(t, ask(t, options{}, handMade(t)...), ask(t, options{workers: 3}, handMade(t)...))
}

func TestTheManagersOwnStartMakesNoDifference(t *testing.T) {
	compare(t, ask(t, options{state: true}, handMade(t)...), ask(t, options{state: true, files: true}, handMade(t)...))
}

func compare(t *testing.T, expected, actual []replay.Answer) {
	t.Helper()
	equal(t, "number of answers", len(expected), len(actual))
	for i := range expected {
		expected[i].Error, actual[i].Error = sorted(expected[i].Error), sorted(actual[i].Error)
		equal(t, expected[i].ID, expected[i], actual[i])
	}
}

// sorted undoes the map order in which the kubelet lists gates that depend on others, or names one that it does not know.
func sorted(text string) string {
	text, _, _ = strings.Cut(text, "feature gate: ")
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,[]", r) })
	slices.Sort(words)
	return strings.Join(words, " ")
}

func TestAnErrorIsAnAnswerAndTheNextCaseIsNotItsConcern(t *testing.T) {
	answers := ask(t, options{}, handMade(t, "panic: zone id 64", "timeout: distribution without end",
		"error: unknown CPU option", "error: unknown gate", "removed pods")...)
	equal(t, "panic", "panic: runtime error: invalid memory address or nil pointer dereference", answers[0].Error)
	equal(t, "loop", "timeout", answers[1].Error)
	equal(t, "option", `new static policy error: unknown CPU Manager Policy option: "no-such-option"`, answers[2].Error)
	equal(t, "gate", true, strings.HasSuffix(answers[3].Error, "unrecognized feature gate: NoSuchGate"))
	equal(t, "ordinary case", 3, len(answers[4].Verdicts))
}

func TestAWorkersDeathCostsNoOtherCase(t *testing.T) {
	good := handMade(t, "removed pods")[0]
	answers := ask(t, options{}, good, fmt.Sprintf(`{"id": "deadly", "version": %q}`, deadly), good)
	equal(t, "before", 3, len(answers[0].Verdicts))
	equal(t, "the deadly one", replay.Answer{ID: "deadly", Error: "crash: exit status 7: fatal error: so be it"}, answers[1])
	equal(t, "after", answers[0], answers[2])
}

func TestInputThatIsNoCaseIsAnsweredToo(t *testing.T) {
	dance := strings.Replace(handMade(t, "removed pods")[0], `"op": "remove"`, `"op": "dance"`, 1)
	answers := ask(t, options{}, "nonsense", `{"id": "old", "version": "1.2"}`, dance)
	equal(t, "no JSON", true, strings.HasPrefix(answers[0].Error, "case: "))
	equal(t, "version", fmt.Sprintf(`version: "1.2", this judge is %s`, kubelet.Version), answers[1].Error)
	equal(t, "step", `case: steps[2]: op "dance" without what it needs`, answers[2].Error)
}

func TestDevicesComeFromTheZoneOfTheHint(t *testing.T) {
	verdicts := ask(t, options{}, handMade(t, "devices: single-numa-node")...)[0].Verdicts
	equal(t, "one of zone 0", map[string]map[string][]string{"app": {"vendor.com/nic": {"d0"}}}, verdicts[0].Devices)
	equal(t, "two of zone 1", map[string]map[string][]string{"app": {"vendor.com/nic": {"d2", "d3"}}}, verdicts[1].Devices)
	equal(t, "its CPUs", map[string]string{"app": "4-6,12-14"}, verdicts[1].CPUs)
	equal(t, "two more", "TopologyAffinityError", verdicts[2].Reason)
}

func TestNoCaseSeesTheGatesOfAnother(t *testing.T) {
	if kubelet.Version == "1.35" {
		t.Skip("1.35 has no pod-level managers")
	}
	on, off := "mission: pod scope, gate on", "mission: pod scope, gate off"
	answers := ask(t, options{}, handMade(t, off, on, off)...)
	equal(t, "gate on", "1-4,17-20", answers[1].Verdicts[0].PodCPUs)
	equal(t, "gate off", answers[0], answers[2])
}
