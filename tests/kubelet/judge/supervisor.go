package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"numa-extender/judge/replay"
)

// job is a line of input and the place where its answer is awaited.
type job struct {
	line   []byte
	answer chan []byte
}

// supervise hands lines to workers and prints their answers in the order of the lines.
func supervise(in io.Reader, out io.Writer, o options) error {
	scratch, err := os.MkdirTemp("", "judge-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	jobs := make(chan job)
	ordered := make(chan job, 64*o.workers)
	failed := make(chan error, 1)
	go func() { failed <- readJobs(in, jobs, ordered) }()
	var crew sync.WaitGroup
	for range max(o.workers, 1) {
		crew.Add(1)
		go func() {
			defer crew.Done()
			(&post{options: o, scratch: scratch}).serve(jobs)
		}()
	}
	printer := bufio.NewWriter(out)
	for j := range ordered {
		if _, err := printer.Write(<-j.answer); err != nil {
			return err
		}
		if len(ordered) == 0 {
			if err := printer.Flush(); err != nil {
				return err
			}
		}
	}
	crew.Wait()
	return errors.Join(printer.Flush(), <-failed)
}

func readJobs(in io.Reader, jobs, ordered chan<- job) error {
	defer close(jobs)
	defer close(ordered)
	lines := bufio.NewReaderSize(in, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			j := job{append(bytes.TrimSpace(line), '\n'), make(chan []byte, 1)}
			ordered <- j
			jobs <- j
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// post is the place of one worker process; a process that ends is replaced when the next job comes.
type post struct {
	options
	scratch string
	process *exec.Cmd
	stdin   io.WriteCloser
	stdout  *bufio.Reader
	stderr  *tail
	killed  atomic.Bool
}

// timeout is the error of a case with a step that did not end.
const timeout = "timeout"

func (p *post) serve(jobs <-chan job) {
	for j := range jobs {
		j.answer <- p.ask(j.line)
	}
	if p.process != nil {
		p.dismiss()
	}
}

// ask returns the worker's answer, or one that tells how the worker ended. A worker with earlier cases behind it may
// have died of them, so the case has the benefit of a fresh one.
func (p *post) ask(line []byte) []byte {
	for fresh := p.process == nil; ; fresh = true {
		if p.process == nil {
			if err := p.hire(); err != nil {
				return lastWord(line, fmt.Sprintf("judge: no worker: %v", err))
			}
		}
		answer, err := p.exchange(line)
		if err == nil {
			return answer
		}
		if cause := p.dismiss(); fresh || cause == timeout {
			return lastWord(line, cause)
		}
	}
}

func (p *post) hire() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	p.process = exec.Command(program, "-worker", fmt.Sprintf("-timeout=%s", p.timeout),
		fmt.Sprintf("-state=%t", p.state), fmt.Sprintf("-files=%t", p.files))
	// One case at a time: a second thread would only collect garbage.
	p.process.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=400", "TMPDIR="+p.scratch)
	p.stderr = &tail{}
	p.process.Stderr = p.stderr
	if p.stdin, err = p.process.StdinPipe(); err != nil {
		return err
	}
	stdout, err := p.process.StdoutPipe()
	if err != nil {
		return err
	}
	p.stdout = bufio.NewReaderSize(stdout, 1<<16)
	return p.process.Start()
}

// exchange gives the worker twice the time it gives itself for every step: it kills only a worker that cannot itself.
func (p *post) exchange(line []byte) ([]byte, error) {
	limit := 2*patience*p.timeout*time.Duration(2+bytes.Count(line, []byte(`"op"`))) + time.Second
	process := p.process.Process
	killer := time.AfterFunc(limit, func() { p.killed.Store(process.Kill() == nil) })
	defer killer.Stop()
	if _, err := p.stdin.Write(line); err != nil {
		return nil, err
	}
	return p.stdout.ReadBytes('\n')
}

// dismiss waits for the worker's end and tells it in words.
func (p *post) dismiss() string {
	_ = p.stdin.Close()
	err := p.process.Wait()
	code := p.process.ProcessState.ExitCode()
	p.process = nil
	if code == exitTimeout || p.killed.Swap(false) {
		return timeout
	}
	return strings.TrimSpace(fmt.Sprintf("crash: %v: %s", err, p.stderr))
}

func lastWord(line []byte, text string) []byte {
	c := struct {
		ID string `json:"id"`
	}{}
	_ = json.Unmarshal(line, &c)
	answer, _ := json.Marshal(replay.Answer{ID: c.ID, Error: text})
	return append(answer, '\n')
}

// tail keeps the beginning of what a dying worker writes to its standard error.
type tail struct{ text []byte }

const tailSize = 4096

func (t *tail) Write(b []byte) (int, error) {
	t.text = append(t.text, b[:min(len(b), tailSize-len(t.text))]...)
	return len(b), nil
}

func (t *tail) String() string {
	first, _, _ := strings.Cut(string(t.text), "\n")
	return first
}
