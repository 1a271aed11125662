import { HttpServer } from '../../runtime/http/server.js'
import { Stream } from '../../runtime/http/stream.js'
import { PacedViewer } from '../chaos/paced-viewer.js'
import { prepareNetwork } from './own-network.js'
import { until } from './until.js'

/** A process of its own: ten readers of 400 KB/s, each sent events of so many bytes as fast as its socket takes them.
 * Prints what it saw, as JSON. Arguments: bytes of an event; `own` where this is a network namespace. */
const EVENTS = 20
const COMMENT = Buffer.from(':\n')
const [bytes, network] = process.argv.slice(2)
const why = network === 'own' ? prepareNetwork() : undefined
if (why !== undefined) throw new Error(why)

let id = 0
let blocked = 0
const event = () => `id: ${++id}\ndata: {"createdAt":0,"content":"${'x'.repeat(Number(bytes))}"}\n\n`
const streams: Stream[] = []
const server = new HttpServer({
  onBug: error => {
    throw error
  },
}).route('GET', '/', ({ res }) => {
  const stream = new Stream(res, [{ 'content-type': 'text/event-stream' }], COMMENT, { nudge: () => COMMENT, chunkEnd: () => COMMENT, progressed: () => {}, drained: () => void stream.write(event()), left: () => {} })
  streams.push(stream)
  return undefined
})
const port = server.listen('127.0.0.1', 0)
const readers = Array.from({ length: 10 }, () => new PacedViewer(`http://127.0.0.1:${port}/`, 400_000))
const writing = setInterval(() => {
  for (const stream of streams) if (!stream.write(event())) blocked++
}, 10)
await until(() => readers.every(({ wrong, events }) => wrong.length > 0 || events >= EVENTS), { timeoutMs: 60_000, what: `each reader has ${EVENTS} events or something else` })
clearInterval(writing)
process.stdout.write(`${JSON.stringify({ blocked, wrong: readers.flatMap(({ wrong }) => wrong) })}\n`)
process.exit()
