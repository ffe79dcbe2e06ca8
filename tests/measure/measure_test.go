package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFigures(t *testing.T) {
	s := samples{"odd": {3, 1, 2}, "even": {4, 1, 3, 2}}
	for _, test := range []struct {
		figure figure
		want   float64
	}{
		{median("odd"), 2},
		{median("even"), 2},
		{worst("odd"), 3},
	} {
		if got, err := s.value(test.figure); err != nil || got != test.want {
			t.Errorf("%s: got %v, %v, want %v", test.figure.series, got, err, test.want)
		}
	}
	if _, err := s.value(median("missing")); err == nil {
		t.Error("a series without samples is no error")
	}
}

func TestTargets(t *testing.T) {
	s := samples{"ours": {5.04}, "theirs": {10}}
	for _, test := range []struct {
		target target
		over   bool
		want   string
	}{
		{target{name: "as printed", figure: median("ours"), limit: 5, unit: " ms"}, false, "5.0 ms  target 5 ms"},
		{target{name: "over", figure: median("ours"), limit: 4.9}, true, "5.0  target 4.9"},
		{target{name: "ratio", figure: median("ours"), versus: median("theirs"), limit: 0.5}, true, "0.504  target 0.5"},
		{target{name: "information", figure: median("ours"), versus: median("theirs")}, false, "0.504"},
	} {
		var out bytes.Buffer
		over, err := test.target.print(&out, s)
		if err != nil || over != test.over || !strings.HasSuffix(out.String(), " "+test.want+"\n") {
			t.Errorf("%s: got over %v, %v: %s", test.target.name, over, err, out.String())
		}
	}
}

// Each section can be reported from the series that its tables show.
func TestTargetsUseTheSeriesOfTheirTables(t *testing.T) {
	extra := []string{"reaction", "requests for an ordinal", "streams"}
	o := options{runs: 1, rolls: 1, moves: 1, names: 1, orphans: []int{10}, sets: []int{10}}
	for _, one := range sections {
		shown := slices.Clone(extra)
		for _, table := range one.tables(o) {
			for _, row := range table.rows {
				for _, figure := range row.figures {
					shown = append(shown, figure.series)
				}
			}
		}
		for _, target := range one.targets {
			for _, series := range []string{target.figure.series, target.versus.series} {
				if series != "" && !slices.Contains(shown, series) {
					t.Errorf("%s: no table shows %q", target.name, series)
				}
			}
		}
	}
}

func TestReactions(t *testing.T) {
	start := time.Now()
	var seen []sighting
	see := func(milliseconds int, watch, words string) {
		at := start.Add(time.Duration(milliseconds) * time.Millisecond)
		seen = append(seen, sighting{at, watch, strings.Fields(words)})
	}
	see(0, "partition", "0")
	for _, name := range []string{"web-1", "web-2", "web-3"} {
		see(0, "pod", name+" old-"+name+" True")
	}
	see(10, "partition", "5")
	see(20, "partition", "3")
	see(100, "pod", "web-3 new-3 False")
	see(200, "pod", "web-3 new-3 True")
	see(204, "partition", "2")
	see(250, "pod", "web-3 new-3 True") // seen before
	see(300, "pod", "web-2 new-2 True")
	see(305, "partition", "1")
	see(400, "partition", "0")
	see(406, "pod", "web-1 new-1 True") // the watch of the pods lags

	got, err := reactions(seen)
	if want := []float64{4, 5, -6}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := reactions(seen[:9]); err == nil {
		t.Error("missing sightings are no error")
	}
}

func TestLongestGap(t *testing.T) {
	if got := longestGap([]float64{1, 1.5, 3.5, 4}); got != 2000 {
		t.Errorf("got %v", got)
	}
}

func TestCommandLine(t *testing.T) {
	o, err := parse([]string{"--runs", "3", "--orphans=10", "--orphans", "20", "--sets", "5", "--check"})
	if err != nil || o.runs != 3 || o.rolls != 7 || !slices.Equal(o.orphans, []int{10, 20}) || !slices.Equal(o.sets, []int{5}) || !o.check {
		t.Errorf("got %+v, %v", o, err)
	}
	for _, wrong := range [][]string{{"--runs", "-1"}, {"--tier", "cloud"}, {"--unknown"}, {"word"}} {
		var usage usageError
		if _, err := parse(wrong); !errors.As(err, &usage) {
			t.Errorf("%v: got %v", wrong, err)
		}
	}
}
