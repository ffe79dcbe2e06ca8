package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"time"
)

var (
	saidAnswered = regexp.MustCompile(`(?m)answered after ([0-9.]+) ms$`)
	saidStreams  = regexp.MustCompile(`([0-9]+) streams opened`)
)

// measureNames compares dns with a bare client that asks the same questions.
func (c *cluster) measureNames() {
	c.send("apply", manyHostnames())
	c.ours("dns svc/many --wait 60s")
	questions := parseQuestions(c.output(c.oursPath, "dns svc/many -o json"))
	var servers []string
	for pod := range strings.FieldsSeq(c.output(c.kubectlPath, "get pods -n kube-system -l k8s-app=kube-dns -o name")) {
		address, stop := c.portForward(pod)
		defer stop()
		servers = append(servers, address)
	}
	say("%d turns of %d questions to %d servers, each way", c.names, len(questions), len(servers))
	for range c.names {
		c.add("bare client", bareClient(questions, servers))
		said := c.ours("dns svc/many -v=4")
		c.addSaid("dns", said, saidAnswered)
		c.addSaid("streams", said, saidStreams)
	}
}

// manyHostnames returns a Service of 200 hostnames, in two slices.
func manyHostnames() string {
	var objects strings.Builder
	objects.WriteString(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"many"},"spec":{"clusterIP":"None","ports":[{"name":"web","port":80}]}}`)
	for slice := range 2 {
		var endpoints []string
		for number := slice * 100; number < slice*100+100; number++ {
			endpoints = append(endpoints, fmt.Sprintf(`{"addresses":["192.0.2.%d"],"hostname":"many-%d"}`, number+1, number))
		}
		fmt.Fprintf(&objects, `
{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4","metadata":{"name":"many-%d","labels":{"kubernetes.io/service-name":"many"}},"ports":[{"name":"web","port":80}],"endpoints":[%s]}`,
			slice, strings.Join(endpoints, ","))
	}
	return objects.String()
}

var saidForwarding = regexp.MustCompile(`^Forwarding from (127\.0\.0\.1:[0-9]+) `)

// portForward forwards a free port to the DNS server in a pod.
func (c *cluster) portForward(pod string) (address string, stop func()) {
	lines, stop := c.follow("port-forward -n kube-system " + pod + " :53")
	for lines.Scan() {
		if found := saidForwarding.FindStringSubmatch(lines.Text()); found != nil {
			go func() {
				for lines.Scan() { // it prints a line for each connection
				}
			}()
			return found[1], stop
		}
	}
	stop()
	panic(failure{fmt.Errorf("kubectl port-forward %s printed no address", pod)})
}

// --- the bare client ----------------------------------------------------------

var questionTypes = map[string]uint16{"A": 1, "CNAME": 5, "PTR": 12, "AAAA": 28, "SRV": 33}

// parseQuestions returns the questions in the output of dns -o json, as messages
// of DNS over TCP with their index as the id.
func parseQuestions(document string) [][]byte {
	var asked struct {
		Items []struct{ Name, Type string }
	}
	check(json.Unmarshal([]byte(document), &asked))
	var questions [][]byte
	for id, item := range asked.Items {
		message := binary.BigEndian.AppendUint16(nil, uint16(id))
		message = append(message, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0) // recursion desired, one question
		for label := range strings.SplitSeq(item.Name, ".") {
			message = append(append(message, byte(len(label))), label...)
		}
		message = append(message, 0)
		message = binary.BigEndian.AppendUint16(message, questionTypes[item.Type])
		message = binary.BigEndian.AppendUint16(message, 1)
		questions = append(questions, append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
	}
	return questions
}

// bareClient sends all servers all questions at once and returns the
// milliseconds until the last answer is there.
func bareClient(questions [][]byte, servers []string) float64 {
	var connections []net.Conn
	for _, address := range servers {
		connection := must(net.Dial("tcp", address))
		defer connection.Close()
		check(connection.SetDeadline(time.Now().Add(time.Minute)))
		// The stream behind the port is opened for the first question.
		check(ask(connection, questions[:1]))
		connections = append(connections, connection)
	}
	return timed(func() {
		answered := make(chan error)
		for _, connection := range connections {
			go func() { answered <- ask(connection, questions) }()
		}
		for range connections {
			check(<-answered)
		}
	})
}

// ask sends all questions at once and reads until each id was answered.
func ask(connection net.Conn, questions [][]byte) error {
	var all []byte
	for _, question := range questions {
		all = append(all, question...)
	}
	if _, err := connection.Write(all); err != nil {
		return err
	}
	answers := bufio.NewReader(connection)
	answered := map[uint16]bool{}
	for len(answered) < len(questions) {
		var length uint16
		if err := binary.Read(answers, binary.BigEndian, &length); err != nil {
			return err
		}
		answer := make([]byte, length)
		if _, err := io.ReadFull(answers, answer); err != nil {
			return err
		}
		answered[binary.BigEndian.Uint16(answer)] = true
	}
	return nil
}
