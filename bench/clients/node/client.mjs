// nsqjs in the bench of gnsq: WORK COUNT ADDRESS[,ADDRESS...] --NAME VALUE... does the work and prints one line of JSON.

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import nsq from 'nsqjs'

import { Clock, now } from './clock.mjs'

const TOPIC = 'bench'
const CHANNEL = 'bench'
const SETTLING = 1000
const IDLING = 10_000
// Closing does not wait for answers that are still to be sent.
const PARTING = 500
// So many messages go round before the clock is started.
const WARM_UP = 10

const [work, count, addresses, ...rest] = process.argv.slice(2)
const options = parse(rest)

const works = { publish, multipublish, consume, first: consume, idle, 'round-trip': roundTrip }
if (!(work in works)) throw new Error(`${work} is no work`)
await works[work](Number(count))
// A closed reader or writer may keep timers that nobody needs.
process.exit(0)

/** One message a command, so many of them unanswered. */
async function publish(count) {
  let next = 0
  await confirmed(count, (writer, done) => writer.publish(TOPIC, options.bodies[next++ % options.bodies.length], done))
}

/** Many messages a command: publish takes an array for that. */
async function multipublish(count) {
  const batch = Array.from({ length: options.batch }, (_, index) => options.bodies[index % options.bodies.length])
  await confirmed(count / options.batch, (writer, done) => writer.publish(TOPIC, batch, done))
}

/** Sends so many commands; each answer sends the next. */
async function confirmed(times, send) {
  const writer = await connected()
  const clock = new Clock()
  clock.start()
  await new Promise((resolve, reject) => {
    let left = times
    let unsent = times
    const done = (error) => {
      if (error) reject(error)
      else if (--left === 0) resolve()
      else next()
    }
    const next = () => {
      if (unsent > 0) {
        unsent--
        send(writer, done)
      }
    }
    for (let i = 0; i < options.outstanding; i++) next()
  })
  clock.stop()
  await closed(writer)
  clock.report()
}

/** Takes and finishes all messages; the clock runs from the first to the last. */
async function consume(count) {
  const clock = new Clock()
  let seen = 0
  let reader
  await new Promise((resolve) => {
    reader = subscribed((message) => {
      if (seen === 0) clock.start()
      message.finish()
      if (++seen === count) {
        clock.stop()
        resolve()
      }
    })
  })
  clock.report()
  await sleep(PARTING)
  await closed(reader)
}

/** Publishes messages that say when, and receives them. */
async function roundTrip(count) {
  const latencies = []
  let received = () => {}
  const reader = subscribed((message) => {
    latencies.push(now() - message.body.readDoubleBE(0))
    message.finish()
    received()
  })
  const writer = await connected()
  const body = Buffer.from(options.bodies[0])
  const send = () =>
    new Promise((resolve, reject) => {
      body.writeDoubleBE(now(), 0)
      writer.publish(TOPIC, body, (error) => (error ? reject(error) : resolve()))
    })
  const until = (number) =>
    new Promise((resolve) => {
      received = () => latencies.length >= number && resolve()
      received()
    })
  for (let i = 1; i <= WARM_UP; i++) {
    await send()
    await until(i)
  }
  latencies.length = 0
  const clock = new Clock()
  clock.start()
  const began = now()
  for (let i = 0; i < count; i++) {
    if (options.rate > 0) await sleep(Math.max(0, (began + (i * 1e6) / options.rate - now()) / 1e3))
    await send()
    if (options.rate === 0) await until(i + 1)
  }
  await until(count)
  clock.stop()
  await sleep(PARTING)
  await closed(reader)
  await closed(writer)
  clock.report(latencies, WARM_UP)
}

/** So many consumers that have nothing to do. */
async function idle(count) {
  const readers = Array.from({ length: count }, () => subscribed((message) => message.finish()))
  await Promise.all(readers.map((reader) => new Promise((resolve) => reader.on('nsqd_connected', resolve))))
  await sleep(SETTLING)
  const clock = new Clock()
  clock.start()
  await sleep(IDLING)
  clock.stop()
  clock.report()
}

function subscribed(handle) {
  const { maxInFlight, connection } = options
  const reader = new nsq.Reader(TOPIC, CHANNEL, { nsqdTCPAddresses: addresses.split(','), maxInFlight, ...connection })
  reader.on('message', handle)
  reader.on('error', fail)
  reader.connect()
  return reader
}

function connected() {
  const [host, port] = addresses.split(':')
  const writer = new nsq.Writer(host, Number(port), options.connection)
  writer.on('error', fail)
  writer.connect()
  return new Promise((resolve) => writer.on('ready', () => resolve(writer)))
}

/** Closed, as far as the client tells. */
function closed(client) {
  return new Promise((resolve) => {
    client.on(client instanceof nsq.Writer ? 'closed' : 'nsqd_closed', resolve)
    client.close()
  })
}

function fail(error) {
  console.error(error)
  process.exit(1)
}

function parse(rest) {
  const options = { outstanding: 1, batch: 200, rate: 0, maxInFlight: 1, connection: {} }
  let body = 200
  let file = null
  const set = {
    '--body': (value) => (body = Number(value)),
    '--bodies': (value) => (file = value),
    '--outstanding': (value) => (options.outstanding = Number(value)),
    '--batch': (value) => (options.batch = Number(value)),
    '--rate': (value) => (options.rate = Number(value)),
    '--max-in-flight': (value) => (options.maxInFlight = Number(value)),
    // It knows no authority of one's own but can skip the verification, as its documentation says for such certificates.
    '--tls': () => Object.assign(options.connection, { tls: true, tlsVerification: false }),
    '--snappy': () => (options.connection.snappy = true),
    '--deflate': (value) => Object.assign(options.connection, { deflate: true, deflateLevel: Number(value) }),
    '--batching': (value) => {
      if (value !== 'no') throw new Error('nsqjs has no natural batching')
    },
  }
  for (let i = 0; i < rest.length; i += 2) {
    if (!(rest[i] in set)) throw new Error(`${rest[i]} is unknown`)
    set[rest[i]](rest[i + 1])
  }
  options.bodies = [Buffer.alloc(body, 'x')]
  if (file !== null) {
    const whole = readFileSync(file)
    options.bodies = Array.from({ length: whole.length / body }, (_, i) => whole.subarray(i * body, (i + 1) * body))
  }
  return options
}
