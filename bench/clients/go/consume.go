package main

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/nsqio/go-nsq"
)

const (
	settling = time.Second
	idling   = 10 * time.Second
	// So many messages go round before the clock is started.
	warmUp = 10
)

// consume takes and finishes all messages; the clock runs from the first to the last.
func consume(options *options) error {
	var clock clock
	var seen atomic.Int64
	done := make(chan struct{})
	consumer, err := subscribed(options, func(*nsq.Message) error {
		number := int(seen.Add(1))
		if number == 1 {
			clock.start()
		}
		if number == options.count {
			clock.stop()
			close(done)
		}
		return nil
	})
	if err != nil {
		return err
	}
	<-done
	if err := clock.report(nil, 0); err != nil {
		return err
	}
	consumer.Stop()
	<-consumer.StopChan
	return nil
}

// roundTrip publishes messages that say when, and receives them.
func roundTrip(options *options) error {
	epoch := time.Now()
	received := make(chan time.Duration, options.count+warmUp)
	consumer, err := subscribed(options, func(message *nsq.Message) error {
		received <- time.Since(epoch) - time.Duration(binary.BigEndian.Uint64(message.Body))
		return nil
	})
	if err != nil {
		return err
	}
	producer, err := connected(options)
	if err != nil {
		return err
	}
	body := options.bodies[0]
	send := func() error {
		binary.BigEndian.PutUint64(body, uint64(time.Since(epoch)))
		return producer.Publish(topic, body)
	}
	for range warmUp {
		if err := send(); err != nil {
			return err
		}
		<-received
	}
	var clock clock
	var latencies []time.Duration
	clock.start()
	for number := range options.count {
		if options.rate > 0 {
			time.Sleep(time.Until(clock.began.Add(time.Duration(number) * time.Second / time.Duration(options.rate))))
		}
		if err := send(); err != nil {
			return err
		}
		if options.rate == 0 {
			latencies = append(latencies, <-received)
		}
	}
	for len(latencies) < options.count {
		latencies = append(latencies, <-received)
	}
	clock.stop()
	consumer.Stop()
	<-consumer.StopChan
	producer.Stop()
	return clock.report(latencies, warmUp)
}

// idle has so many consumers that have nothing to do.
func idle(options *options) error {
	for range options.count {
		if _, err := subscribed(options, func(*nsq.Message) error { return nil }); err != nil {
			return err
		}
	}
	time.Sleep(settling)
	var clock clock
	clock.start()
	time.Sleep(idling)
	clock.stop()
	return clock.report(nil, 0)
}

func subscribed(options *options, handle nsq.HandlerFunc) (*nsq.Consumer, error) {
	consumer, err := nsq.NewConsumer(topic, channel, options.config)
	if err != nil {
		return nil, err
	}
	consumer.SetLoggerLevel(nsq.LogLevelError)
	consumer.AddConcurrentHandlers(handle, options.handlers)
	return consumer, consumer.ConnectToNSQDs(options.addresses)
}
