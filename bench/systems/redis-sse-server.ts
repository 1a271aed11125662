import { Redis } from 'ioredis'
import { createServer, type ServerResponse } from 'node:http'

/** What most people build first: an SSE endpoint on node:http, and Redis pub/sub between those who post and those
 * who hold the streams. One subscription for the process; a comment is made into an event once and written to each. */

const [port = 0, redisPort = 0] = process.argv.slice(2).map(Number)
const CHANNEL = 'comments'
const viewers = new Set<ServerResponse>()
const publisher = new Redis(redisPort, '127.0.0.1')
const subscriber = new Redis(redisPort, '127.0.0.1')

subscriber.on('message', (_channel: string, text: string) => {
  const event = `data: ${text}\n\n`
  for (const res of viewers) res.write(event)
})

const server = createServer((req, res) => {
  if (req.method === 'GET') {
    res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' })
    res.write(':\n\n')
    viewers.add(res)
    res.once('close', () => viewers.delete(res))
    return
  }
  let body = ''
  req.setEncoding('utf8').on('data', (text: string) => (body += text))
  req.once('end', () => void publisher.publish(CHANNEL, body).then(() => res.writeHead(202).end()))
})

await subscriber.subscribe(CHANNEL)
server.listen(port, '127.0.0.1', 4096)
