import { createChannel, createSession } from 'better-sse'
import { createServer } from 'node:http'

/** better-sse as its README shows it: a session for each response, registered with a channel that broadcasts. */

const [port = 0] = process.argv.slice(2).map(Number)
const channel = createChannel()

const server = createServer((req, res) => {
  if (req.method === 'GET') {
    void createSession(req, res).then(session => channel.register(session))
    return
  }
  let body = ''
  req.setEncoding('utf8').on('data', (text: string) => (body += text))
  req.once('end', () => {
    channel.broadcast(JSON.parse(body), 'message')
    res.writeHead(202).end()
  })
})
server.listen(port, '127.0.0.1', 4096)
