import { ask, sixAtMost } from './ask.js'
import { tokenQuery } from './token.js'

export const RECENT = 50
/** The server says something at least every 15 s. An EventSource cannot see that a line is dead. */
const SILENCE_MS = 35_000
/** The server opens a stream at once, whatever its state: one that is not open by then may not even have left. */
const OPEN_MS = 5_000
/** Where the browser has given up by itself, or says it is offline. */
const AGAIN_MS = 5_000

/** The live stream of one video, kept up as long as somebody looks at it. Tells its page: comment(comment, live),
 * `live` false where replayed; gap({from, to}): those in (from, to] were not sent; viewers(count); ready(): all is
 * replayed; state(name, reason), the names as in page.js. @returns what connects anew, after the last comment seen */
export function stream(path, page) {
  /** Of the last event seen: where to go on from. */
  let last = ''
  let ready = false
  let source
  let timer

  function open() {
    if (document.hidden) return rest('hidden')
    rest(navigator.onLine ? 'connecting' : 'offline')
    const from = last === '' ? `recent=${RECENT}` : `lastEventId=${last}`
    const mine = (source = new EventSource(`${path}?${from}${tokenQuery()}`))
    let opened = false
    const unopened = setTimeout(() => sixAtMost && mine === source && navigator.onLine && page.state('unopened'), OPEN_MS)
    mine.onopen = () => {
      opened = true
      clearTimeout(unopened)
    }
    const on = (name, tell) =>
      mine.addEventListener(name, event => {
        listen()
        if (event.lastEventId) last = event.lastEventId
        tell(JSON.parse(event.data))
      })
    on('message', comment => page.comment(comment, ready))
    on('gap', page.gap)
    on('viewers', ({ viewers }) => page.viewers(viewers))
    on('ready', ({ viewers }) => {
      ready = true
      page.viewers(viewers)
      page.ready()
      page.state('live')
    })
    mine.onerror = () => {
      clearTimeout(unopened)
      if (mine.readyState === EventSource.CLOSED) why()
      else page.state(opened && !ready ? 'busy' : navigator.onLine ? 'lost' : 'offline')
      opened = ready = false
    }
    listen()
  }

  function rest(state, againMs) {
    clearTimeout(timer)
    source?.close()
    ready = false
    page.state(state)
    if (againMs) timer = setTimeout(open, againMs)
  }

  function listen() {
    clearTimeout(timer)
    timer = setTimeout(() => {
      open()
      page.state('silent')
    }, SILENCE_MS)
  }

  /** The browser gives up for good on an error status and does not say which. */
  async function why() {
    const given = source
    rest('lost', AGAIN_MS)
    try {
      const response = await ask(`${path}?pageSize=1`)
      const { error } = await response.json()
      if (error && response.status < 500 && response.status !== 429 && given === source) page.state('refused', error.message)
    } catch {
      // The next try says more.
    }
  }

  // Browsers allow six HTTP/1.1 connections a host: a tab that nobody sees must not hold one.
  document.addEventListener('visibilitychange', open)
  addEventListener('online', open)
  addEventListener('offline', () => rest('offline', AGAIN_MS))
  return open
}
