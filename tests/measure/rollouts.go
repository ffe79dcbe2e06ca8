package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// measureRollouts compares canary with a plain rollout, and scale with a plain
// scale-down, on one StatefulSet of five ordinals.
func (c *cluster) measureRollouts() {
	c.enter("canary")
	manifest := string(must(os.ReadFile("tests/apps/nginx.yaml")))
	c.send("apply", strings.Replace(manifest, "replicas: 3", "replicas: 5", 1))
	c.kubectl("rollout status statefulset/web --timeout=120s")
	c.measureCanary()
	c.measureScale()
}

func (c *cluster) measureCanary() {
	image, other := "nginx:1.21", "nginx:1.22"
	// Returns the image to change to, once the StatefulSet has settled.
	next := func() string {
		c.settle()
		image, other = other, image
		return image
	}
	setImage := func() {
		image := next()
		c.add("set image", timed(func() {
			c.kubectl("set image statefulset/web nginx=" + image)
			c.kubectl("rollout status statefulset/web")
		}))
	}
	canary := func() {
		image := next()
		c.add("canary", timed(func() { c.canary(image) }))
	}
	say("%d rollouts of five ordinals each way, and %d that are watched", c.rolls, c.rolls)
	inTurns(c.rolls, setImage, canary)
	for range c.rolls {
		c.watchedCanary(next())
	}
}

// canary rolls out an image to the end and returns what was said.
func (c *cluster) canary(image string, flags ...string) string {
	return c.ours("canary start web --yes --bake=0 --image nginx="+image, flags...) +
		c.ours("canary promote web --full --yes --bake=0", flags...)
}

// settle waits until every pod runs the newest template and the controller says
// so.
func (c *cluster) settle() {
	const path = `{.metadata.generation} {.status.updateRevision} {.status.availableReplicas}{"\n"}` +
		`{.status.observedGeneration} {.status.currentRevision} {.spec.replicas}`
	c.until("web settles", 120*time.Second, 100*time.Millisecond, func() bool {
		wanted, is, _ := strings.Cut(c.output(c.kubectlPath, "get statefulset web -o", "jsonpath="+path), "\n")
		return wanted == is
	})
}

// --- reaction -----------------------------------------------------------------

// A sighting is a line of a watch, and when it came.
type sighting struct {
	at    time.Time
	watch string
	words []string
}

type sightings struct {
	lock sync.Mutex
	all  []sighting
}

// read timestamps the lines of a watch as they arrive.
func (s *sightings) read(watch string, lines *bufio.Scanner) {
	for lines.Scan() {
		at := time.Now()
		s.lock.Lock()
		s.all = append(s.all, sighting{at, watch, strings.Fields(lines.Text())})
		s.lock.Unlock()
	}
}

func (s *sightings) list() []sighting {
	s.lock.Lock()
	defer s.lock.Unlock()
	return slices.Clone(s.all)
}

// watchedCanary rolls out an image under two watches.
func (c *cluster) watchedCanary(image string) {
	var seen sightings
	pods, stop := c.follow("get pods --watch --no-headers -o",
		`custom-columns=:.metadata.name,:.metadata.uid,:.status.conditions[?(@.type=="Ready")].status`)
	defer stop()
	go seen.read("pod", pods)
	partitions, stop := c.follow("get statefulset web --watch -o",
		`jsonpath={.spec.updateStrategy.rollingUpdate.partition}{"\n"}`)
	defer stop()
	go seen.read("partition", partitions)
	c.until("both watches list what exists", time.Minute, 50*time.Millisecond, func() bool {
		return len(seen.list()) >= 6
	})
	said := c.canary(image, "-v=6")
	// The event of the last write may still be on its way.
	c.until("the watch shows partition 0", time.Minute, 50*time.Millisecond, func() bool {
		return lastPartition(seen.list()) == "0"
	})
	requests := slices.DeleteFunc(c.requests(said), func(line string) bool { return strings.Contains(line, "watch=true") })
	c.add("requests for an ordinal", float64(len(requests))/5)
	for _, milliseconds := range must(reactions(seen.list())) {
		c.add("reaction", milliseconds)
	}
}

func lastPartition(seen []sighting) string {
	for _, one := range slices.Backward(seen) {
		if one.watch == "partition" && len(one.words) == 1 {
			return one.words[0]
		}
	}
	return ""
}

// reactions returns the milliseconds from "web-N is Available" to the next lower
// partition, for N = 3, 2 and 1. The first write of promote comes when promote
// is started, not when web-4 is Available. A time can be below zero: the watch
// of the pods may lag.
func reactions(seen []sighting) ([]float64, error) {
	ready, known := map[string]time.Time{}, map[string]bool{}
	lowered := map[int]time.Time{}
	partition := 0
	for _, one := range seen {
		switch {
		case one.watch == "pod" && len(one.words) == 3 && one.words[2] == "True" && !known[one.words[1]]:
			// The new pod has the name of the old one: the last one counts.
			name, uid := one.words[0], one.words[1]
			known[uid] = true
			ready[name] = one.at
		case one.watch == "partition" && len(one.words) == 1:
			now, err := strconv.Atoi(one.words[0])
			if err != nil {
				return nil, err
			}
			if now < partition {
				lowered[partition] = one.at
			}
			partition = now
		}
	}
	var times []float64
	for ordinal := 3; ordinal > 0; ordinal-- {
		from, sawReady := ready[fmt.Sprintf("web-%d", ordinal)]
		to, sawLowered := lowered[ordinal]
		if !sawReady || !sawLowered {
			return nil, fmt.Errorf("the watches missed ordinal %d", ordinal)
		}
		times = append(times, to.Sub(from).Seconds()*1000)
	}
	return times, nil
}

// --- scale-down ---------------------------------------------------------------

func (c *cluster) measureScale() {
	fromFive := func(series string, down func()) func() {
		return func() {
			c.kubectl("scale statefulset/web --replicas=5")
			c.kubectl("rollout status statefulset/web")
			c.settle()
			c.add(series, timed(down))
		}
	}
	byKubectl := fromFive("kubectl scale", func() {
		c.kubectl("scale statefulset/web --replicas=1")
		c.kubectl("wait --for=delete pod/web-4 pod/web-3 pod/web-2 pod/web-1 --timeout=120s")
	})
	byOurs := fromFive("scale", func() { c.ours("scale web --replicas 1 --yes") })
	say("%d scale-downs each way", c.rolls)
	inTurns(c.rolls, byKubectl, byOurs)
}
