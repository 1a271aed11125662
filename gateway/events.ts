import type { Buffer } from 'node:buffer'
import { inOne, type Encoded } from '../runtime/fan-out/encoded.js'
import type { Compressor } from './compressor.js'

/** Events that several viewers are written, as text or compressed: each is made once, for the first of them who takes it so. */
export class Events {
  readonly #texts: readonly Buffer[]
  readonly #viewers: number
  readonly #compressor: Compressor
  #plain: Encoded | undefined
  #gzip: Encoded | undefined

  /** @param texts at least one, each compressed by itself @param viewers for how many it may be meant */
  constructor(texts: readonly Buffer[], viewers: number, compressor: Compressor) {
    this.#texts = texts
    this.#viewers = viewers
    this.#compressor = compressor
  }

  for({ gzip }: { readonly gzip: boolean }): Encoded {
    return gzip
      ? (this.#gzip ??= inOne(this.#texts.map(text => this.#compressor.pack(text, this.#viewers))))
      : (this.#plain ??= inOne(this.#texts.map(bytes => ({ bytes }))))
  }
}
