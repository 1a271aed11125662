import type { StreamResponse } from '../../runtime/http/stream.js'
import type { Channel } from './channel.js'

/** A response over a channel. Like the real one it throws when it is
 * used after its end. */
export class Response implements StreamResponse {
  readonly #channel: Channel
  #over = false
  #aborted: () => void = () => {}

  constructor(channel: Channel) {
    this.#channel = channel
    channel.onAborted = () => {
      this.#over = true
      this.#aborted()
    }
  }

  onAborted(handler: () => void): this {
    this.#aborted = handler
    return this
  }

  onWritable(handler: (offset: number) => boolean): this {
    this.#channel.onWritable = () => void handler(0)
    return this
  }

  cork(write: () => void): this {
    this.#check()
    write()
    return this
  }

  writeStatus(): this {
    this.#check()
    return this
  }

  writeHeader(name: string, value: string): this {
    this.#check()
    this.#channel.headers.set(name, value)
    return this
  }

  write(chunk: string | Uint8Array): boolean {
    this.#check()
    return this.#channel.write(chunk)
  }

  end(last?: string | Uint8Array): this {
    this.#check()
    this.#over = true
    this.#channel.end(last)
    return this
  }

  close(): this {
    this.#check()
    this.#over = true
    this.#channel.reset()
    this.#aborted()
    return this
  }

  #check(): void {
    if (this.#over) throw new Error('the response was used after its end')
  }
}
