import { createServer } from 'node:http'
import { Server } from 'socket.io'

/** Socket.IO with its defaults, save that it does not serve its client's files. A post is emitted to everyone. */

const [port = 0] = process.argv.slice(2).map(Number)

const server = createServer((req, res) => {
  if (req.method !== 'POST' || req.url !== '/publish') return
  let body = ''
  req.setEncoding('utf8').on('data', (text: string) => (body += text))
  req.once('end', () => {
    io.emit('comment', JSON.parse(body))
    res.writeHead(202).end()
  })
})
const io = new Server(server, { serveClient: false })
server.listen(port, '127.0.0.1', 4096)
