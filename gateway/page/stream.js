// The live stream of one video, kept up as long as somebody looks at it.

export const RECENT = 50
/** The server says something at least every 15 s. An EventSource cannot see that a line is dead. */
const SILENCE_MS = 35_000
/** Where the browser has given up by itself, or says it is offline. */
const AGAIN_MS = 5_000

/** Tells its listener: comment(comment, live), `live` false where replayed; gap({from, to}): those in (from, to] were
 * not sent; viewers(count); ready(): all is replayed; state(name, reason), the names as in page.js. */
export class Stream {
  /** Of the last event seen, '' before the first: where to go on from. */
  #lastEventId = ''
  #ready = false
  #source
  #timer
  #path
  #listener

  constructor(path, listener) {
    this.#path = path
    this.#listener = listener
    // Browsers allow six HTTP/1.1 connections a host: a tab that nobody sees must not hold one.
    document.addEventListener('visibilitychange', () => this.open())
    addEventListener('online', () => this.open())
    addEventListener('offline', () => this.#rest('offline', AGAIN_MS))
  }

  /** Connects anew, after the last comment seen. */
  open() {
    if (document.hidden) return this.#rest('hidden')
    this.#rest(navigator.onLine ? 'connecting' : 'offline')
    const from = this.#lastEventId === '' ? `recent=${RECENT}` : `lastEventId=${this.#lastEventId}`
    const source = (this.#source = new EventSource(`${this.#path}?${from}`))
    let opened = false
    source.onopen = () => (opened = true)
    const on = (name, tell) =>
      source.addEventListener(name, event => {
        this.#listen()
        if (event.lastEventId) this.#lastEventId = event.lastEventId
        tell(JSON.parse(event.data))
      })
    on('message', comment => this.#listener.comment(comment, this.#ready))
    on('gap', gap => this.#listener.gap(gap))
    on('viewers', ({ viewers }) => this.#listener.viewers(viewers))
    on('ready', ({ viewers }) => {
      this.#ready = true
      this.#listener.viewers(viewers)
      this.#listener.ready()
      this.#listener.state('live')
    })
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) this.#ask()
      else this.#listener.state(opened && !this.#ready ? 'busy' : navigator.onLine ? 'lost' : 'offline')
      opened = this.#ready = false
    }
    this.#listen()
  }

  #rest(state, againMs) {
    clearTimeout(this.#timer)
    this.#source?.close()
    this.#ready = false
    this.#listener.state(state)
    if (againMs) this.#timer = setTimeout(() => this.open(), againMs)
  }

  #listen() {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.open()
      this.#listener.state('silent')
    }, SILENCE_MS)
  }

  /** The browser gives up for good on an error status and does not say which. */
  async #ask() {
    const source = this.#source
    this.#rest('lost', AGAIN_MS)
    try {
      const response = await fetch(`${this.#path}?pageSize=1`)
      const { error } = await response.json()
      if (error && response.status < 500 && response.status !== 429 && source === this.#source) this.#listener.state('refused', error.message)
    } catch {
      // The next try says more.
    }
  }
}
