// Time, processor time and memory of this process, and the line that tells them.

import { readFileSync } from 'node:fs'

/** Microseconds since the process began. */
export function now() {
  return performance.now() * 1e3
}

/** Runs from `start` to `stop`. */
export class Clock {
  #began = 0
  #before = process.cpuUsage()
  #figures = {}

  start() {
    this.#began = now()
    this.#before = process.cpuUsage()
  }

  stop() {
    const { user, system } = process.cpuUsage(this.#before)
    this.#figures = { seconds: (now() - this.#began) / 1e6, cpu: (user + system) / 1e6, threads: status('Threads') }
  }

  /** Prints the line that the driver reads; `warmUp` messages came before the clock was started. */
  report(latencies = [], warmUp = 0) {
    const told = { ...this.#figures, peak_kib: status('VmHWM'), warm_up: warmUp }
    if (latencies.length > 0) told.latencies_us = latencies
    console.log(JSON.stringify(told))
  }
}

/** A number that Linux tells of this process; memory in KiB. */
function status(field) {
  const line = readFileSync('/proc/self/status', 'utf8').split('\n').find((line) => line.startsWith(`${field}:`))
  return Number.parseInt(line.slice(field.length + 1), 10)
}
