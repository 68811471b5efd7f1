package main

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clock measures time and the processor time of all threads between start and stop.
type clock struct {
	began  time.Time
	before time.Duration
	told   figures
}

type figures struct {
	Seconds   float64   `json:"seconds"`
	CPU       float64   `json:"cpu"`
	PeakKiB   int       `json:"peak_kib"`
	Threads   int       `json:"threads"`
	WarmUp    int       `json:"warm_up"`
	Latencies []float64 `json:"latencies_us,omitempty"`
}

func (c *clock) start() {
	c.began, c.before = time.Now(), cpuTime()
}

func (c *clock) stop() {
	c.told.Seconds = time.Since(c.began).Seconds()
	c.told.CPU = (cpuTime() - c.before).Seconds()
	c.told.Threads = status("Threads:")
}

// report prints the line that the driver reads; warmUp messages came before the clock was started.
func (c *clock) report(latencies []time.Duration, warmUp int) error {
	c.told.PeakKiB, c.told.WarmUp = status("VmHWM:"), warmUp
	for _, latency := range latencies {
		c.told.Latencies = append(c.told.Latencies, float64(latency.Nanoseconds())/1e3)
	}
	return json.NewEncoder(os.Stdout).Encode(c.told)
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// status is a number that Linux tells of this process; memory in KiB.
func status(field string) int {
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if value, found := strings.CutPrefix(line, field); found {
			number, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(value, "kB")))
			return number
		}
	}
	return 0
}
