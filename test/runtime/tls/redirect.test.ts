import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { redirectServer } from '../../../runtime/tls/redirect.js'

function serve(t: Test, to: string, admits = () => true) {
  const server = redirectServer({ to, connections: { admits, silent: () => ({ over() {} }), unsure: () => undefined }, onBug: error => t.fail(String(error)) })
  const port = server.listen('127.0.0.1', 0)
  t.after(() => server.close())
  return { server, port }
}

/** All that comes back, once the server has closed the connection. */
function raw(port: number, text: string): Promise<string> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    let received = ''
    socket.on('data', (bytes: Buffer) => (received += bytes.toString()))
    socket.on('error', () => {})
    socket.once('close', () => resolve(received))
  })
}

const locationOf = (answer: string) => /\r\nlocation: (.*)\r\n/i.exec(answer)?.[1]

t.test('every request is answered 308 with the same path at the public URL, and the connection closed', async t => {
  const { port } = serve(t, 'https://live.example.com')
  const cases: [request: string, location: string][] = [
    ['GET / HTTP/1.1\r\nHost: live.example.com\r\n\r\n', 'https://live.example.com/'],
    ['GET /comments/demo?recent=50&x=%C3%A4+b HTTP/1.1\r\nHost: live.example.com\r\n\r\n', 'https://live.example.com/comments/demo?recent=50&x=%C3%A4+b'],
    ['HEAD /embed HTTP/1.1\r\nHost: live.example.com\r\n\r\n', 'https://live.example.com/embed'],
    ['OPTIONS /comments/demo HTTP/1.1\r\nHost: live.example.com\r\n\r\n', 'https://live.example.com/comments/demo'],
    ['POST /comments/demo HTTP/1.1\r\nHost: live.example.com\r\nContent-Length: 2\r\n\r\n{}', 'https://live.example.com/comments/demo'],
  ]
  for (const [request, location] of cases) {
    const answer = await raw(port, request)
    t.match(answer, /^HTTP\/1\.1 308 Permanent Redirect\r\n/)
    t.equal(locationOf(answer), location)
    t.notMatch(answer, /strict-transport-security/i, 'plain HTTP cannot say it')
  }
  t.equal(locationOf(await raw(serve(t, 'https://live.example.com:8443/live').port, 'GET /docs HTTP/1.1\r\nHost: x\r\n\r\n')), 'https://live.example.com:8443/live/docs')
})

t.test('no request chooses another host, or a header', async t => {
  const { port } = serve(t, 'https://live.example.com')
  const paths = ['//evil.example/x', '/\\evil.example', '/%0d%0aset-cookie:a=b', '/a%00', '/@evil.example', '@evil.example', '.evil.example', ':8443', 'https://evil.example/', 'x', '/a\tb', '/?next=https://evil.example', '/\u0001', '/ä']
  for (const path of paths) {
    const answer = await raw(port, `GET ${path} HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\n\r\n`)
    const location = locationOf(answer)
    if (location === undefined) t.match(answer, /^(HTTP\/1\.1 (400|505) |$)/, `${JSON.stringify(path)} is refused`)
    else t.equal(new URL(location).host, 'live.example.com', JSON.stringify(path))
    t.notMatch(answer, /\nset-cookie|[^\r\n\x20-\x7e]/, JSON.stringify(path))
  }
})

t.test('connections are admitted as at the public port', async t => {
  const { port } = serve(t, 'https://live.example.com', () => false)
  t.equal(await raw(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'), '')
})
