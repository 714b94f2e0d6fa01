// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// TestBench times Hull and runc in turn and prints lines "bench WHAT (HANDLER) SECONDS". CRI_RUNS: how often (5).
func TestBench(t *testing.T) {
	runs, err := strconv.Atoi(os.Getenv("CRI_RUNS"))
	if err != nil {
		runs = 5
	}
	for range runs {
		for _, handler = range []string{"hull", "runc"} {
			timed := func(what string, f func()) {
				began := time.Now()
				f()
				fmt.Printf("bench %s (%s) %.4f\n", what, handler, time.Since(began).Seconds())
			}
			var p *pod
			timed("pod with one container", func() {
				p = newPod(t)
				p.run(t, "sleep 3600")
			})
			timed("second container", func() { p.run(t, "sleep 3600") })
			c := p.run(t, "sleep 3600")
			timed("exec", func() { c.execSync(t, 0, "true") })
			timed("stop and remove the pod", func() { removePod(t, p.id) })
		}
	}
}
