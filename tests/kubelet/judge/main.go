// Judge answers replay cases with the kubelet's own code: one case a line on standard input, one answer a line on
// standard output, in the same order.
//
// The kubelet's code may panic, end the process or loop for ever, and each of these is an answer. So the program that
// is called is a supervisor, and workers (the same program with -worker) do the work.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"numa-extender/judge/kubelet"
)

// options are the flags.
type options struct {
	workers int
	timeout time.Duration
	state   bool
	files   bool
	worker  bool
	version bool
}

func main() {
	o := options{}
	flag.IntVar(&o.workers, "workers", 1, "cases answered at the same time")
	flag.DurationVar(&o.timeout, "timeout", 10*time.Second, "CPU time one step may take before the answer is an error")
	flag.BoolVar(&o.state, "state", false, "print with every verdict what the managers hold after the step")
	flag.BoolVar(&o.files, "files", false, "let the CPU and memory managers start themselves and keep files (slow)")
	flag.BoolVar(&o.worker, "worker", false, "answer in this process (used by the supervisor)")
	flag.BoolVar(&o.version, "version", false, "print the Kubernetes version of this judge and end")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	switch {
	case o.version:
		fmt.Println(kubelet.Version)
		return nil
	case o.worker:
		return work(os.Stdin, os.Stdout, o)
	default:
		return supervise(os.Stdin, os.Stdout, o)
	}
}
