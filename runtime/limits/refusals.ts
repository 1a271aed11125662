import { Counter, type Registry } from 'prom-client'
import type { Clock } from '../clock.js'
import type { Log } from '../log.js'

const LINE_MS = 1_000

/** Counts what the limits refuse, by kind. The log gets at most one line a second, with the number of refusals of each kind
 * since the last line. */
export class Refusals {
  readonly #clock: Clock
  readonly #log: Log
  readonly #counter: Counter<'kind'>
  readonly #unlogged = new Map<string, number>()

  /** @param name of the counter, without the prefix `live_` and the suffix `_refused_total` */
  constructor({ clock, log, metrics, name }: { clock: Clock; log: Log; metrics: Registry; name: string }) {
    this.#clock = clock
    this.#log = log
    this.#counter = new Counter({ name: `live_${name}_refused_total`, help: 'Connections, streams and posts refused, by limit.', labelNames: ['kind'], registers: [metrics] })
  }

  count(kind: string): void {
    this.#counter.inc({ kind })
    if (this.#unlogged.size === 0) this.#clock.after(LINE_MS, this.#write)
    this.#unlogged.set(kind, (this.#unlogged.get(kind) ?? 0) + 1)
  }

  readonly #write = (): void => {
    this.#log.warn(Object.fromEntries(this.#unlogged), 'refused')
    this.#unlogged.clear()
  }
}
