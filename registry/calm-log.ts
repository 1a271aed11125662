import type { Clock } from '../runtime/clock.js'
import type { Log } from '../runtime/log.js'

/** Between two lines about the same. */
const LINE_MS = 30_000

interface Said {
  /** When it was last logged, monotonic ms. */
  at: number
  /** How often it came since. */
  times: number
}

/** Lines about what may come again and again. The first of an event is logged at once; those that follow within half a minute
 * are only counted, and the next line has their number, itself included, as `times`. */
export class CalmLog {
  readonly #log: Pick<Log, 'info' | 'warn' | 'error'>
  readonly #clock: Clock
  readonly #said = new Map<string, Said>()

  constructor({ log, clock }: { readonly log: Pick<Log, 'info' | 'warn' | 'error'>; readonly clock: Clock }) {
    this.#log = log
    this.#clock = clock
  }

  /** @param kind tells apart what is counted by itself, such as an error's code; there must be few */
  line(level: 'info' | 'warn' | 'error', event: string, fields: object, kind = ''): void {
    const key = `${event} ${kind}`
    const now = this.#clock.now()
    const said = this.#said.get(key)
    if (said && now - said.at < LINE_MS) {
      said.times++
      return
    }
    const times = (said?.times ?? 0) + 1
    this.#said.set(key, { at: now, times: 0 })
    this.#log[level](times > 1 ? { ...fields, times } : fields, event)
  }
}
