package main

import "fmt"

// What is shown of each measurement, and its targets.
var sections = []section{
	{
		wanted: func(o options) bool { return o.runs > 0 },
		tables: func(o options) []table {
			columns := func(command string) []figure {
				return []figure{median(command + ": wall"), median(command + ": memory"), median(command + ": requests").whole()}
			}
			return []table{{
				fmt.Sprintf("median of %d runs", o.runs),
				[]string{"wall (ms)", "memory (MiB)", "requests"},
				[]row{
					{"kubectl stateful --help", columns("help")},
					{"kubectl stateful version", columns("version")},
					{"kubectl version --client", columns("kubectl version")},
					{"kubectl stateful status web", columns("status")},
					{"kubectl get sts web -o yaml", columns("kubectl get")},
				},
			}}
		},
		targets: []target{
			{name: "--help, wall", figure: median("help: wall"), limit: 5, unit: " ms"},
			{
				name:   "version, wall: ours / kubectl version --client",
				figure: median("version: wall"), versus: median("kubectl version: wall"),
			},
			{
				name:   "status web, wall: ours / kubectl get sts web -o yaml",
				figure: median("status: wall"), versus: median("kubectl get: wall"), limit: 0.5,
			},
			{
				name:   "status web, memory: ours / kubectl get sts web -o yaml",
				figure: median("status: memory"), versus: median("kubectl get: memory"),
			},
			// An eighth of what kubectl took (106 MiB) where the target was set.
			{name: "status web, memory", figure: median("status: memory"), limit: 13.2, unit: " MiB"},
		},
	},
	{
		wanted: func(o options) bool { return o.rolls > 0 },
		tables: func(o options) []table {
			return []table{{
				fmt.Sprintf("median of %d rollouts, tier %s", o.rolls, o.tier),
				[]string{"wall (ms)"},
				[]row{
					{"set image, rollout status", []figure{median("set image")}},
					{"canary start, promote --full", []figure{median("canary")}},
				},
			}, {
				fmt.Sprintf("median of %d scale-downs, tier %s", o.rolls, o.tier),
				[]string{"wall (ms)"},
				[]row{
					{"kubectl scale, wait for four pods", []figure{median("kubectl scale")}},
					{"scale 5 to 1", []figure{median("scale")}},
				},
			}}
		},
		targets: []target{
			{
				name:   "five ordinals, wall: canary / set image and rollout status",
				figure: median("canary"), versus: median("set image"), limit: 1.0,
			},
			{name: "Available to the next write, median", figure: median("reaction"), limit: 100, unit: " ms"},
			{name: "Available to the next write, worst", figure: worst("reaction"), limit: 100, unit: " ms"},
			{name: "requests for an ordinal, without watches", figure: median("requests for an ordinal"), limit: 6},
			{
				name:   "five ordinals to one, wall: scale / kubectl scale and wait",
				figure: median("scale"), versus: median("kubectl scale"), limit: 1.1,
			},
		},
	},
	{
		wanted: func(o options) bool { return o.moves > 0 },
		tables: func(o options) []table {
			both := func(series string) []figure { return []figure{median(series), worst(series)} }
			return []table{{
				fmt.Sprintf("downtime, %d turns, real node", o.moves),
				[]string{"median (ms)", "worst (ms)"},
				[]row{
					{"rollout restart", both("rollout restart: downtime")},
					{"migrate run", both("migrate: downtime")},
					{"runbook with kubectl", both("runbook: downtime")},
				},
			}, {
				"median of runs",
				[]string{"requests"},
				[]row{
					{"migrate run", []figure{median("migrate: requests").whole()}},
					{"migrate run beside 300 objects", []figure{median("migrate beside others: requests").whole()}},
				},
			}}
		},
		targets: []target{
			{
				name:   "downtime, median: migrate run / rollout restart",
				figure: median("migrate: downtime"), versus: median("rollout restart: downtime"), limit: 1.15,
			},
			{
				name:   "downtime: worst migrate run / median rollout restart",
				figure: worst("migrate: downtime"), versus: median("rollout restart: downtime"), limit: 2,
			},
			// Above 1: changes that arrive together are read together, and each
			// reading costs a few requests.
			{
				name:   "requests of migrate run: beside 300 objects / alone",
				figure: median("migrate beside others: requests"), versus: median("migrate: requests"), limit: 1.05,
			},
		},
	},
	{
		wanted: func(o options) bool { return o.names > 0 },
		tables: func(o options) []table {
			return []table{{
				fmt.Sprintf("402 questions, two servers, %d turns", o.names),
				[]string{"median (ms)"},
				[]row{
					{"dns, once connected", []figure{median("dns")}},
					{"bare client, kubectl port-forward", []figure{median("bare client")}},
				},
			}}
		},
		targets: []target{
			{name: "402 questions, two servers", figure: median("dns"), limit: 300, unit: " ms"},
			{
				name:   "the same: dns / bare client through kubectl port-forward",
				figure: median("dns"), versus: median("bare client"), limit: 1.5,
			},
			{name: "streams to each server", figure: worst("streams").whole(), limit: 1},
		},
	},
	{
		wanted: func(o options) bool { return len(o.orphans) > 0 },
		tables: func(o options) []table {
			var tables []table
			for _, count := range o.orphans {
				both := func(command string) []figure {
					series := orphansSeries(command, count)
					return []figure{median(series + ": wall"), median(series + ": memory")}
				}
				tables = append(tables, table{
					fmt.Sprintf("%d claims, %d pods", count, count),
					[]string{"wall (ms)", "memory (MiB)"},
					[]row{
						{"orphans -A -o json", both("orphans")},
						{"client-go, lists and join only", both("client-go")},
						{"kubectl get pvc -A", both("kubectl get pvc")},
					},
				})
			}
			return tables
		},
	},
	{
		wanted: func(o options) bool { return len(o.sets) > 0 },
		tables: func(o options) []table {
			var tables []table
			for _, count := range o.sets {
				both := func(command string) []figure {
					series := setsSeries(command, count)
					return []figure{median(series + ": wall"), median(series + ": memory")}
				}
				tables = append(tables, table{
					fmt.Sprintf("%d sets, %d pods", count, count*podsOfASet),
					[]string{"wall (ms)", "memory (MiB)"},
					[]row{
						{"status -A", both("status")},
						{"kubectl get sts -A", both("kubectl get sts")},
						{"kubectl get pods -A", both("kubectl get pods")},
					},
				})
			}
			return tables
		},
	},
}
