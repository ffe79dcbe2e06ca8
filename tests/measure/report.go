package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A section is one measurement: when it runs, the tables that show it, and the
// targets that its figures are held to.
type section struct {
	wanted  func(options) bool
	tables  func(options) []table
	targets []target
}

type table struct {
	title   string
	columns []string
	rows    []row
}

type row struct {
	label   string
	figures []figure
}

// A target compares a figure, or its ratio to another one, with a limit.
type target struct {
	name   string
	figure figure
	versus figure  // nothing: the figure itself is compared
	limit  float64 // 0: for information only
	unit   string
}

// --- figures ------------------------------------------------------------------

// Samples by the name of their series, in milliseconds, MiB or a plain number.
type samples map[string][]float64

func (s samples) add(series string, value float64) {
	s[series] = append(s[series], value)
}

// A figure is one number out of a series.
type figure struct {
	series   string
	pick     func(sorted []float64) float64
	decimals int
}

// The middle sample; of an even number, the lower of the two.
func median(series string) figure {
	return figure{series, func(sorted []float64) float64 { return sorted[(len(sorted)-1)/2] }, 1}
}

func worst(series string) figure {
	return figure{series, func(sorted []float64) float64 { return sorted[len(sorted)-1] }, 1}
}

func (f figure) whole() figure {
	f.decimals = 0
	return f
}

func (s samples) value(f figure) (float64, error) {
	if len(s[f.series]) == 0 {
		return 0, fmt.Errorf("nothing was measured for %q", f.series)
	}
	return f.pick(slices.Sorted(slices.Values(s[f.series]))), nil
}

// What is printed is what is compared.
func round(value float64, decimals int) float64 {
	scale := math.Pow10(decimals)
	return math.Round(value*scale) / scale
}

// --- printing -----------------------------------------------------------------

// report prints the tables and targets of the sections that ran, and says
// whether a target was missed.
func report(w io.Writer, s samples, o options) (missed bool, err error) {
	ran := slices.DeleteFunc(slices.Clone(sections), func(one section) bool { return !one.wanted(o) })
	for _, one := range ran {
		for _, table := range one.tables(o) {
			if err := table.print(w, s); err != nil {
				return false, err
			}
		}
	}
	fmt.Fprintln(w)
	for _, one := range ran {
		for _, target := range one.targets {
			over, err := target.print(w, s)
			if err != nil {
				return false, err
			}
			missed = missed || over
		}
	}
	return missed, nil
}

func (t table) print(w io.Writer, s samples) error {
	line := func(label string, cells []string) {
		fmt.Fprintf(w, "%-44s", label)
		for i, cell := range cells {
			fmt.Fprintf(w, " %*s", max(10, len(t.columns[i])), cell)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
	line(t.title, t.columns)
	for _, row := range t.rows {
		var cells []string
		for _, figure := range row.figures {
			value, err := s.value(figure)
			if err != nil {
				return err
			}
			cells = append(cells, strconv.FormatFloat(value, 'f', figure.decimals, 64))
		}
		line(row.label, cells)
	}
	return nil
}

func (t target) print(w io.Writer, s samples) (over bool, err error) {
	value, err := s.value(t.figure)
	decimals := t.figure.decimals
	if err == nil && t.versus.series != "" {
		var versus float64
		versus, err = s.value(t.versus)
		value, decimals = value/versus, 3
	}
	if err != nil {
		return false, err
	}
	verdict, against := "", ""
	value = round(value, decimals)
	if t.limit > 0 {
		over = value > t.limit
		verdict = map[bool]string{false: "ok", true: "over"}[over]
		against = fmt.Sprintf("  target %g%s", t.limit, t.unit)
	}
	text := fmt.Sprintf("%-4s  %-58s %10s%s", verdict, t.name, strconv.FormatFloat(value, 'f', decimals, 64)+t.unit, against)
	_, err = fmt.Fprintln(w, strings.TrimRight(text, " "))
	return over, err
}
