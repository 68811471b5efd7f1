package main

import (
	"github.com/nsqio/go-nsq"
)

// publish has so many messages unanswered; PublishAsync is what go-nsq offers for that.
func publish(options *options) error {
	next := 0
	return confirmed(options, options.count, func(producer *nsq.Producer, done chan *nsq.ProducerTransaction) error {
		body := options.bodies[next%len(options.bodies)]
		next++
		if options.outstanding == 1 {
			return producer.Publish(topic, body)
		}
		return producer.PublishAsync(topic, body, done)
	})
}

func multipublish(options *options) error {
	batch := make([][]byte, options.batch)
	for i := range batch {
		batch[i] = options.bodies[i%len(options.bodies)]
	}
	times := options.count / options.batch
	return confirmed(options, times, func(producer *nsq.Producer, done chan *nsq.ProducerTransaction) error {
		if options.outstanding == 1 {
			return producer.MultiPublish(topic, batch)
		}
		return producer.MultiPublishAsync(topic, batch, done)
	})
}

// confirmed sends so many commands, waiting whenever as many as may be are outstanding. One at a time, send itself waits.
func confirmed(options *options, times int, send func(*nsq.Producer, chan *nsq.ProducerTransaction) error) error {
	producer, err := connected(options)
	if err != nil {
		return err
	}
	done := make(chan *nsq.ProducerTransaction, options.outstanding)
	var clock clock
	clock.start()
	waiting := 0
	for sent := 0; sent < times; sent++ {
		if err := send(producer, done); err != nil {
			return err
		}
		if options.outstanding == 1 {
			continue
		}
		if waiting++; waiting == options.outstanding {
			if err := (<-done).Error; err != nil {
				return err
			}
			waiting--
		}
	}
	for ; waiting > 0; waiting-- {
		if err := (<-done).Error; err != nil {
			return err
		}
	}
	clock.stop()
	producer.Stop()
	return clock.report(nil, 0)
}

// connected is a producer that has its connection.
func connected(options *options) (*nsq.Producer, error) {
	producer, err := nsq.NewProducer(options.addresses[0], options.config)
	if err != nil {
		return nil, err
	}
	producer.SetLoggerLevel(nsq.LogLevelError)
	return producer, producer.Ping()
}
