import type { Clock } from '../runtime/clock.js'
import type { Log } from '../runtime/log.js'

/** Between two lines about the same. */
const LINE_MS = 30_000

interface Said {
  /** When it was last logged, monotonic ms. */
  readonly at: number
  /** How often it came since. */
  times: number
}

type Level = 'info' | 'warn' | 'error'
interface Fields {
  /** What is told apart by it is counted apart; there must be few. */
  readonly code?: string | undefined
  readonly [field: string]: unknown
}

/** Lines about what may come again and again. The first of an event and its `code` is logged at once; those that follow within
 * half a minute are only counted, and the next line has their number, itself included, as `times`. */
export class CalmLog {
  readonly #log: Pick<Log, Level>
  readonly #clock: Clock
  readonly #said = new Map<string, Said>()

  constructor({ log, clock }: { readonly log: Pick<Log, Level>; readonly clock: Clock }) {
    this.#log = log
    this.#clock = clock
  }

  info(fields: Fields, event: string): void {
    this.#line('info', fields, event)
  }

  warn(fields: Fields, event: string): void {
    this.#line('warn', fields, event)
  }

  #line(level: Level, fields: Fields, event: string): void {
    const key = `${event} ${fields.code ?? ''}`
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
