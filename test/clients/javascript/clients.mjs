// One stream client of npm: `clients.mjs NAME URL ENCODING`. Prints a line of JSON for each thing that it sees.
const [name, url, encoding] = process.argv.slice(2)
const headers = { 'accept-encoding': encoding }
const NAMED = ['ready', 'viewers', 'gap']

const say = seen => process.stdout.write(`${JSON.stringify(seen)}\n`)
const saw = ({ event, type, id, lastEventId, data }) => {
  say({ event: event || type || 'message', id: id ?? lastEventId ?? '', data })
  if (data) JSON.parse(data)
}
process.on('uncaughtException', error => say({ error: `uncaught ${error.message}` }))

/** EventSource's interface, which comes back by itself. */
function listen(source) {
  for (const type of ['message', ...NAMED]) source.addEventListener(type, saw)
  source.onerror = error => say({ error: `${error.message ?? error.error?.message ?? 'onerror'}${error.code ?? error.status ? ` ${error.code ?? error.status}` : ''}${source.readyState === 2 ? ', closed for good' : ''}` })
}

const clients = {
  async eventsource() {
    const { EventSource } = await import('eventsource')
    listen(new EventSource(url, { fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...headers } }) }))
  },
  async 'eventsource 2'() {
    const { default: EventSource } = await import('eventsource2')
    listen(new EventSource(url, { headers }))
  },
  async undici() {
    const { Agent, EventSource } = await import('undici')
    const dispatcher = new Agent().compose(dispatch => (options, handler) => dispatch({ ...options, headers: { ...options.headers, ...headers } }, handler))
    listen(new EventSource(url, { dispatcher }))
  },
  async 'launchdarkly-eventsource'() {
    const { EventSource } = await import('launchdarkly-eventsource')
    listen(new EventSource(url, { headers, errorFilter: () => true }))
  },
  async 'fetch-event-source'() {
    // It is made for a browser's window, of which it uses timers and visibility.
    Object.assign(globalThis, { window: globalThis, document: { hidden: false, addEventListener() {}, removeEventListener() {} } })
    const { fetchEventSource } = await import('@microsoft/fetch-event-source')
    await fetchEventSource(url, { headers, onmessage: saw, onclose: () => { say({ end: true }); throw new Error('come back') }, onerror: error => { if (error.message !== 'come back') say({ error: error.message }); return 500 } })
  },
  async 'extended-eventsource'() {
    const { EventSource } = await import('extended-eventsource')
    listen(new EventSource(url, { headers, retry: 500 }))
  },
  async 'fetch by hand'() {
    let last
    for (;;) {
      try {
        const response = await fetch(url, { headers: { accept: 'text/event-stream', ...headers, ...(last ? { 'last-event-id': last } : {}) } })
        if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
        let text = ''
        for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
          const blocks = (text += part).split('\n\n')
          text = blocks.pop()
          for (const block of blocks) {
            const field = key => new RegExp(`^${key}: ?(.*)$`, 'm').exec(block)?.[1]
            last = field('id') ?? last
            saw({ event: field('event'), id: last, data: field('data') })
          }
        }
        say({ end: true })
      } catch (error) {
        say({ error: error.cause?.message ?? error.message })
      }
      await new Promise(resolve => setTimeout(resolve, 500))
    }
  },
}
await clients[name]()
setInterval(() => {}, 60_000)
