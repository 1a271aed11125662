import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Clock } from '../clock.js'
import type { Log } from '../log.js'
import { isEmptySet, Keys, KeySetError, parseJwks } from './keys.js'

const LOOK_MS = 2_000

/** @throws KeySetError naming the file */
export function readJwks(path: string): Keys {
  return said(path, () => parseJwks(readFileSync(path, 'utf8')))
}

export interface KeyFileOptions {
  readonly path: string
  readonly clock: Pick<Clock, 'tick'>
  readonly log: Pick<Log, 'info' | 'error'>
}

/** The current keys of a file. The file is reread every 2 s rather than watched, since Kubernetes replaces a link two
 * folders away. While it is unusable the last keys stay valid; where all keys were removed from it, none is. */
export class KeyFile {
  keys: Keys
  /** Called when the file has others. */
  onChange: (keys: Keys) => void = () => {}
  readonly #options: KeyFileOptions
  /** The text that was last read, or the error. */
  #seen: string
  #cancel: () => void
  #closed = false

  /** @throws KeySetError */
  constructor(options: KeyFileOptions) {
    this.#options = options
    this.#seen = said(options.path, () => readFileSync(options.path, 'utf8'))
    this.keys = said(options.path, () => parseJwks(this.#seen))
    this.#cancel = options.clock.tick(LOOK_MS, this.#look)
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }

  readonly #look = (): void => {
    const { path } = this.#options
    void readFile(path, 'utf8').then(
      text => this.#read(text, () => (isEmptySet(text) ? new Keys([]) : parseJwks(text))),
      (error: unknown) => this.#read(String(error), () => { throw error }),
    )
  }

  #read(seen: string, parse: () => Keys): void {
    const { path, clock, log } = this.#options
    if (this.#closed) return
    this.#cancel = clock.tick(LOOK_MS, this.#look)
    if (seen === this.#seen) return
    this.#seen = seen
    try {
      this.keys = said(path, parse)
    } catch (error) {
      return log.error({ reason: (error as Error).message }, 'auth_keys_unreadable')
    }
    if (isEmptySet(seen)) log.error({ reason: `${path} holds no key: every token is refused` }, 'auth_keys_none')
    else log.info('auth_keys_read')
    this.onChange(this.keys)
  }
}

function said<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof KeySetError) throw new KeySetError(`${path} ${error.message}`)
    throw new KeySetError(`${path} cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown'}`)
  }
}
