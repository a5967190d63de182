package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"numa-extender/judge/kubelet"
	"numa-extender/judge/replay"
)

// work answers cases one after the other in this process. A step that outlives the time limit cannot be stopped from
// within: the process ends with exitTimeout, and the supervisor answers.
func work(in io.Reader, out io.Writer, o options) error {
	kubelet.Silence()
	scratch, err := os.MkdirTemp("", "judge-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	w := &worker{options: o, scratch: scratch, out: out}
	go w.watch()
	lines := bufio.NewReaderSize(in, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			if err := w.answer(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// worker is the case at work.
type worker struct {
	options
	scratch string
	out     io.Writer

	mutex   sync.Mutex
	started *moment // when the step at work began, nil between cases
}

func (w *worker) answer(line []byte) error {
	answer, err := json.Marshal(w.judge(line))
	if err != nil {
		return err
	}
	w.setClock(nil)
	_, err = w.out.Write(append(answer, '\n'))
	return err
}

// judge replays one case; a panic of the kubelet's code is its answer.
func (w *worker) judge(line []byte) (answer replay.Answer) {
	c := replay.Case{}
	if err := json.Unmarshal(line, &c); err != nil {
		return replay.Answer{ID: c.ID, Error: fmt.Sprintf("case: %v", err)}
	}
	if c.Version != kubelet.Version {
		return replay.Answer{ID: c.ID, Error: fmt.Sprintf("version: %q, this judge is %s", c.Version, kubelet.Version)}
	}
	defer func() {
		if reason := recover(); reason != nil {
			answer = replay.Answer{ID: c.ID, Error: fmt.Sprintf("panic: %v", reason)}
		}
	}()
	verdicts, err := w.replay(&c)
	if err != nil {
		return replay.Answer{ID: c.ID, Error: err.Error()}
	}
	return replay.Answer{ID: c.ID, Verdicts: verdicts}
}

func (w *worker) replay(c *replay.Case) ([]replay.Verdict, error) {
	w.setClock(now())
	directory, err := w.directory()
	if err != nil {
		return nil, err
	}
	node, err := kubelet.NewNode(c, directory, w.files)
	if err != nil {
		return nil, err
	}
	verdicts := []replay.Verdict{}
	for i, step := range c.Steps {
		w.setClock(now())
		switch {
		case step.Op == replay.Admit && step.Pod != nil:
			verdict := node.Admit(step.Pod)
			if w.state {
				verdict.State = node.State()
			}
			verdicts = append(verdicts, verdict)
		case step.Op == replay.Remove && step.UID != "":
			node.Remove(step.UID)
		case step.Op == replay.Started && step.UID != "":
			node.Started(step.UID)
		default:
			return nil, fmt.Errorf("case: steps[%d]: op %q without what it needs", i, step.Op)
		}
	}
	return verdicts, nil
}

// directory is one for all cases, or one for each when the managers read what they find there.
func (w *worker) directory() (string, error) {
	if w.files {
		return os.MkdirTemp(w.scratch, "case-")
	}
	return w.scratch, nil
}

func (w *worker) setClock(started *moment) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.started = started
}

// watch ends the process when a step has not come back in time.
func (w *worker) watch() {
	for {
		time.Sleep(min(w.timeout/10, 100*time.Millisecond))
		w.mutex.Lock()
		if w.started != nil && w.started.past(w.timeout) {
			_ = os.RemoveAll(w.scratch)
			os.Exit(exitTimeout)
		}
		w.mutex.Unlock()
	}
}

// exitTimeout is the exit code that tells the supervisor of a step without end.
const exitTimeout = 3

// moment is a point in time on the wall and in this process's use of the CPU.
type moment struct {
	wall time.Time
	cpu  time.Duration
}

func now() *moment {
	usage := syscall.Rusage{}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return &moment{time.Now(), time.Duration(usage.Utime.Nano() + usage.Stime.Nano())}
}

// patience is how many times the limit a step may take on the wall: on a busy machine no verdict turns into a timeout.
const patience = 6

func (m *moment) past(limit time.Duration) bool {
	present := now()
	return present.cpu-m.cpu > limit || present.wall.Sub(m.wall) > patience*limit
}
