import { Buffer } from 'node:buffer'
import { messagesOf } from '../protocol/message.js'
import { inOne, type Encoded, type ViewerEncoding } from '../runtime/fan-out/encoded.js'
import type { Compressor } from './compressor.js'

/** Events that several viewers are written, in each encoding: made once, for the first of them who takes it so. */
export class Events {
  readonly #texts: readonly Buffer[]
  readonly #viewers: number
  readonly #compressor: Compressor
  #plain: Encoded | undefined
  #gzip: Encoded | undefined
  #messages: Encoded | undefined

  /** @param texts at least one, each compressed by itself @param viewers for how many it may be meant */
  constructor(texts: readonly Buffer[], viewers: number, compressor: Compressor) {
    this.#texts = texts
    this.#viewers = viewers
    this.#compressor = compressor
  }

  for({ encoding }: { readonly encoding: ViewerEncoding }): Encoded {
    switch (encoding) {
      case 'plain':
        return (this.#plain ??= inOne(this.#texts.map(bytes => ({ bytes }))))
      case 'gzip':
        return (this.#gzip ??= inOne(this.#texts.map(text => this.#compressor.pack(text, this.#viewers))))
      case 'messages':
        return (this.#messages ??= asMessages(this.#texts))
    }
  }
}

/** Events as JSON, all in one message. @param texts server-sent events */
export function asMessages(texts: readonly Buffer[]): Encoded {
  return { bytes: Buffer.from(messagesOf(texts.map(text => text.toString()).join(''))) }
}
