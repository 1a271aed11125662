import { readFile } from 'node:fs/promises'
import { Gauge, type Registry } from 'prom-client'
import type { Clock } from '../clock.js'
import type { Log } from '../log.js'
import { fingerprintOf, readPair, TlsPairError, type TlsFiles, type TlsPair } from './pair.js'

const LOOK_MS = 1_000

export interface TlsWatchOptions {
  readonly files: TlsFiles
  readonly clock: Pick<Clock, 'tick' | 'wall'>
  readonly log: Pick<Log, 'info' | 'error'>
  readonly metrics: Registry
  /** Uses the files for new connections. @throws Error if it cannot */
  readonly renew: () => void
}

/** Notices that the certificate or its key has changed, and has the server use them. The files are reread every second
 * rather than watched, since Kubernetes replaces a link two folders away. While they are unusable the last pair stays. */
export class TlsWatch {
  readonly #options: TlsWatchOptions
  #used: TlsPair
  /** The fingerprint that the last look found, or an error's code. */
  #found = ''
  /** The last one that was refused. */
  #refused = ''
  #usable = true
  #cancel: () => void
  #closed = false

  /** @throws TlsPairError */
  constructor(options: TlsWatchOptions) {
    const { files, metrics, clock } = options
    this.#options = options
    this.#used = readPair(files)
    const expiresAt = () => this.#used.expiresAt / 1000
    const usable = () => Number(this.#usable)
    new Gauge({ name: 'live_tls_certificate_expires_timestamp_seconds', help: 'When the certificate in use, or an intermediate of it, expires, Unix time.', registers: [metrics], collect() { this.set(expiresAt()) } })
    new Gauge({ name: 'live_tls_files_usable', help: '1; 0 while TLS_CERT_FILE and TLS_KEY_FILE cannot be used and the last usable pair stays in use.', registers: [metrics], collect() { this.set(usable()) } })
    this.#cancel = clock.tick(LOOK_MS, this.#look)
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }

  readonly #look = (): void => {
    const { certificate, key } = this.#options.files
    void Promise.all([readFile(certificate), readFile(key)]).then(fingerprintOf, (error: NodeJS.ErrnoException) => String(error.code)).then(found => this.#see(found))
  }

  #see(found: string): void {
    const { clock, log } = this.#options
    if (this.#closed) return
    this.#cancel = clock.tick(LOOK_MS, this.#look)
    const settled = found === this.#found // one file may be replaced before the other
    this.#found = found
    if (found === this.#used.fingerprint) {
      if (!this.#usable) log.info('tls_files_restored')
      this.#usable = true
      this.#refused = ''
    } else if (settled && found !== this.#refused) this.#take(found)
  }

  #take(found: string): void {
    const { files, clock, log, renew } = this.#options
    try {
      const pair = readPair(files)
      if (pair.expiresAt <= clock.wall() && clock.wall() < this.#used.expiresAt) throw new TlsPairError(`TLS_CERT_FILE: ${files.certificate} has expired, and the certificate in use has not`)
      renew()
      this.#used = pair
      this.#usable = true
      log.info({ expiresAt: new Date(pair.expiresAt).toISOString() }, 'tls_files_read')
    } catch (error) {
      this.#usable = false
      this.#refused = found
      log.error({ reason: (error as Error).message }, 'tls_files_unusable')
    }
  }
}
