import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Clock } from '../clock.js'
import type { Log } from '../log.js'
import { KeySetError, parseJwks, type Keys } from './keys.js'

const LOOK_MS = 2_000

/** @throws KeySetError naming the file */
export function readJwks(path: string): Keys {
  return said(path, () => parseJwks(readFileSync(path, 'utf8')))
}

export interface KeyFileOptions {
  readonly path: string
  readonly clock: Pick<Clock, 'after'>
  readonly log: Pick<Log, 'info' | 'error'>
}

/** The current keys of a file. The file is reread every 2 s rather than watched, since Kubernetes replaces a link two
 * folders away. While it is unusable the last keys stay valid. */
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
    this.#cancel = options.clock.after(LOOK_MS, this.#look)
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }

  readonly #look = (): void => {
    const { path } = this.#options
    void readFile(path, 'utf8').then(
      text => this.#read(text, () => parseJwks(text)),
      (error: unknown) => this.#read(String(error), () => { throw error }),
    )
  }

  #read(seen: string, parse: () => Keys): void {
    const { path, clock, log } = this.#options
    if (this.#closed) return
    this.#cancel = clock.after(LOOK_MS, this.#look)
    if (seen === this.#seen) return
    this.#seen = seen
    try {
      this.keys = said(path, parse)
    } catch (error) {
      return log.error({ reason: (error as Error).message }, 'auth_keys_unreadable')
    }
    log.info('auth_keys_read')
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
