package main

import (
	_ "embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Inserts rows until it is killed, and prints when each was acknowledged.
//
//go:embed writer
var writer string

const (
	deployment = "tests/apps/mysql-deployment.yaml"
	// Lets another claim bind the volume.
	clearClaimRef = `patch pv mysql-pv-volume --type=json -p [{"op":"remove","path":"/spec/claimRef"}]`
)

// measureMoves measures how long MySQL accepts no writes while it is migrated.
func (c *cluster) measureMoves() {
	c.startMySQL()
	manifest := c.output(c.oursPath, "migrate convert -f "+deployment)
	restart := func() {
		c.kubectl("rollout restart deployment/mysql")
		c.kubectl("rollout status deployment/mysql")
	}
	say("%d turns of rollout restart, migrate run and the runbook", c.moves)
	inTurns(c.moves,
		func() { c.move("rollout restart", restart, func() {}) },
		func() { c.move("migrate", func() { c.migrate("migrate: requests") }, c.rollBack) },
		func() { c.move("runbook", func() { c.runbook(manifest) }, c.runbookBack) },
	)
	say("five migrations beside 300 other objects")
	c.send("create", unrelatedObjects(100))
	for range 5 {
		c.waitForRows()
		c.migrate("migrate beside others: requests")
		c.rollBack()
	}
}

func (c *cluster) startMySQL() {
	c.enter("move")
	c.kubectl("apply -f " + deployment)
	c.kubectl("rollout status deployment/mysql --timeout=180s")
	c.kubectl("exec deployment/mysql -- mysql -ppassword -e",
		"CREATE DATABASE shop; CREATE TABLE shop.orders (id INT AUTO_INCREMENT PRIMARY KEY, n INT)")
	c.kubectl("run writer --image=mysql:5.6 --restart=Never --command -- bash -c", writer)
	c.kubectl("wait pod/writer --for=condition=Ready --timeout=120s")
}

// move acts, records the downtime, and goes back.
func (c *cluster) move(series string, act, back func()) {
	c.waitForRows()
	before := len(c.rows())
	act()
	c.waitForRows()
	c.add(series+": downtime", longestGap(c.rows()[before-1:]))
	back()
}

// rows returns when each row was acknowledged, in seconds.
func (c *cluster) rows() []float64 {
	var rows []float64
	for line := range strings.FieldsSeq(c.output(c.kubectlPath, "logs writer")) {
		rows = append(rows, must(strconv.ParseFloat(line, 64)))
	}
	return rows
}

// waitForRows waits for ten more rows.
func (c *cluster) waitForRows() {
	before := len(c.rows())
	c.until("rows are written", 600*time.Second, 200*time.Millisecond, func() bool {
		return len(c.rows()) >= before+10
	})
}

// longestGap returns the longest time between two rows in milliseconds.
func longestGap(rows []float64) float64 {
	longest := 0.0
	for i := 1; i < len(rows); i++ {
		longest = max(longest, rows[i]-rows[i-1])
	}
	return longest * 1000
}

// --- the ways -----------------------------------------------------------------

var saidRequests = regexp.MustCompile(`(?m)\b([0-9]+) requests$`)

func (c *cluster) migrate(series string) {
	c.addSaid(series, c.ours("migrate run deploy/mysql --yes -v=1"), saidRequests)
}

// addSaid records the last number that a pattern finds in an output.
func (c *cluster) addSaid(series, said string, pattern *regexp.Regexp) {
	found := pattern.FindAllStringSubmatch(said, -1)
	if found == nil {
		check(fmt.Errorf("no %s in the output:\n%s", pattern, said))
	}
	c.add(series, must(strconv.ParseFloat(found[len(found)-1][1], 64)))
}

func (c *cluster) rollBack() {
	c.ours("migrate rollback sts/mysql --yes")
}

func (c *cluster) runbook(manifest string) {
	c.kubectl(`patch pv mysql-pv-volume -p {"spec":{"persistentVolumeReclaimPolicy":"Retain"}}`)
	c.kubectl("scale deployment/mysql --replicas=0")
	c.kubectl("wait pod -l app=mysql --for=delete --timeout=120s")
	c.kubectl("delete pvc mysql-pv-claim")
	c.kubectl(clearClaimRef)
	c.send("apply", manifest)
	c.kubectl("rollout status statefulset/mysql")
}

func (c *cluster) runbookBack() {
	c.kubectl("scale statefulset/mysql --replicas=0")
	c.kubectl("wait pod -l app=mysql --for=delete --timeout=120s")
	c.kubectl("delete statefulset/mysql pvc/mysql-persistent-storage-mysql-0")
	c.kubectl(clearClaimRef)
	c.kubectl("apply -f " + deployment)
	c.kubectl("scale deployment/mysql --replicas=1")
	c.kubectl("rollout status deployment/mysql")
}

// unrelatedObjects returns so many ConfigMaps, Services and claims.
func unrelatedObjects(count int) string {
	var objects strings.Builder
	for number := range count {
		fmt.Fprintf(&objects, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"other-%[1]d"}}
{"apiVersion":"v1","kind":"Service","metadata":{"name":"other-%[1]d"},"spec":{"clusterIP":"None","selector":{"app":"other-%[1]d"}}}
{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"other-%[1]d"},"spec":{"storageClassName":"none","accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}
`, number)
	}
	return objects.String()
}
