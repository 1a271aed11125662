import { Buffer } from 'node:buffer'
import type { HttpResponse } from 'uWebSockets.js'
import { uws } from '../../runtime/http/uws.js'

/** The limit: a loop over open responses, one write each, and nothing else. No rooms, no order, no replay, no care for
 * slow viewers, no store. What is posted is stamped and given to everyone at once, or at the next beat. */

const [port = 0, intervalMs = 0] = process.argv.slice(2, 4).map(Number)
/** With these files it speaks TLS. */
const [certificate, key] = process.argv.slice(4)
const viewers = new Set<HttpResponse>()
let gathered = ''
let lastId = 0
let due = false
let nextAt = 0

function take(text: string): void {
  const comment = JSON.parse(text) as { id: string; authorId: string; content: string; createdAt: number }
  const now = Date.now()
  // As many digits as the ids of the cluster.
  const id = (lastId = Math.max(lastId + 1, (now - Date.UTC(2025, 0)) * 4096))
  gathered += `id: ${id}\ndata: ${JSON.stringify({ ...comment, id: String(id), createdAt: now })}\n\n`
  if (due) return
  due = true
  const wait = nextAt - performance.now()
  // Never inside the server's callback: there a write costs four times as much.
  if (wait > 0) setTimeout(flush, wait)
  else setImmediate(flush)
}

function flush(): void {
  due = false
  nextAt = performance.now() + intervalMs
  const bytes = Buffer.from(gathered)
  gathered = ''
  for (const res of viewers) res.cork(() => res.write(bytes))
}

const app = certificate && key ? uws.SSLApp({ cert_file_name: certificate, key_file_name: key }) : uws.App()
app
  .get('/stream', res => {
    viewers.add(res)
    res.onAborted(() => viewers.delete(res))
    res.cork(() => {
      res.writeHeader('content-type', 'text/event-stream; charset=utf-8')
      res.writeHeader('cache-control', 'no-store, no-transform')
      res.write(':\n\n')
    })
  })
  .post('/publish', res => {
    let body = ''
    res.onAborted(() => {})
    res.onData((chunk, isLast) => {
      body += Buffer.from(chunk).toString()
      if (!isLast) return
      take(body)
      res.cork(() => res.writeStatus('202 Accepted').end())
    })
  })
  .listen('127.0.0.1', port, socket => {
    if (!socket) throw new Error(`port ${port} is taken`)
  })
