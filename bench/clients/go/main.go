// go-nsq in the bench of gnsq: WORK COUNT ADDRESS[,ADDRESS...] --NAME VALUE... does the work and prints one line of JSON.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/nsqio/go-nsq"
)

const (
	topic   = "bench"
	channel = "bench"
)

func main() {
	options, err := parse(os.Args[1:])
	if err == nil {
		switch options.work {
		case "publish":
			err = publish(options)
		case "multipublish":
			err = multipublish(options)
		case "consume", "first":
			err = consume(options)
		case "round-trip":
			err = roundTrip(options)
		case "idle":
			err = idle(options)
		default:
			err = fmt.Errorf("%s is no work", options.work)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// What it is asked to do.
type options struct {
	work        string
	count       int
	addresses   []string
	bodies      [][]byte
	outstanding int
	batch       int
	handlers    int
	rate        int
	config      *nsq.Config
}

func parse(arguments []string) (*options, error) {
	if len(arguments) < 3 {
		return nil, fmt.Errorf("usage: WORK COUNT ADDRESS[,ADDRESS...] [--NAME VALUE]...")
	}
	options := &options{work: arguments[0], addresses: strings.Split(arguments[2], ","), handlers: 1, config: nsq.NewConfig()}
	body, file, err := 200, "", error(nil)
	number := func(text string, into *int) {
		if _, bad := fmt.Sscan(text, into); bad != nil && err == nil {
			err = fmt.Errorf("%s is no number", text)
		}
	}
	set := func(name string, value any) {
		if bad := options.config.Set(name, value); bad != nil && err == nil {
			err = bad
		}
	}
	number(arguments[1], &options.count)
	rest := arguments[3:]
	for ; len(rest) >= 2; rest = rest[2:] {
		switch value := rest[1]; rest[0] {
		case "--body":
			number(value, &body)
		case "--bodies":
			file = value
		case "--outstanding":
			number(value, &options.outstanding)
		case "--batch":
			number(value, &options.batch)
		case "--handlers":
			number(value, &options.handlers)
		case "--rate":
			number(value, &options.rate)
		case "--max-in-flight":
			set("max_in_flight", value)
		case "--tls":
			set("tls_v1", true)
			set("tls_root_ca_file", value)
		case "--snappy":
			set("snappy", true)
		case "--deflate":
			set("deflate", true)
			set("deflate_level", value)
		case "--batching":
			if value != "no" {
				err = fmt.Errorf("go-nsq has no natural batching")
			}
		default:
			err = fmt.Errorf("%s is unknown", rest[0])
		}
	}
	if err != nil {
		return nil, err
	}
	options.bodies, err = bodies(body, file)
	return options, err
}

func bodies(size int, file string) ([][]byte, error) {
	if file == "" {
		return [][]byte{[]byte(strings.Repeat("x", size))}, nil
	}
	whole, err := os.ReadFile(file)
	var bodies [][]byte
	for ; len(whole) >= size; whole = whole[size:] {
		bodies = append(bodies, whole[:size])
	}
	return bodies, err
}
