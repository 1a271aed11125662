/** One server-sent event. */
export interface ServerEvent {
  /** `message` for an unnamed event. */
  readonly name: string
  /** The stream's last id so far, '' if there was none. */
  readonly id: string
  readonly data: string
}

/** Parses server-sent events (WHATWG HTML, section 9.2). Chunks may end anywhere, also within a character. */
export class Parser {
  /** The last `retry:`, ms. */
  retryMs: number | undefined
  readonly #decoder = new TextDecoder()
  #rest = ''
  #id = ''
  #name = ''
  #data: string[] = []

  push(chunk: Uint8Array): ServerEvent[] {
    // A carriage return at the end may be half of a line break.
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split(/\r\n|\n|\r(?!$)/)
    this.#rest = lines.pop()!
    const events: ServerEvent[] = []
    for (const line of lines) {
      const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line)!
      if (line === '') {
        if (this.#data.length > 0) events.push({ name: this.#name || 'message', id: this.#id, data: this.#data.join('\n') })
        this.#name = ''
        this.#data = []
      } else if (field === 'data') this.#data.push(value)
      else if (field === 'event') this.#name = value
      else if (field === 'id' && !value.includes('\0')) this.#id = value
      else if (field === 'retry' && /^\d+$/.test(value)) this.retryMs = Number(value)
    }
    return events
  }
}
