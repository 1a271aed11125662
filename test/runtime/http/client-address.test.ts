import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { keysOf, networks, parseAddress } from '../../../runtime/http/address.js'
import { Clients, clientOf, type Client } from '../../../runtime/http/client-address.js'
import { json } from '../../../runtime/http/reply.js'
import { HttpServer } from '../../../runtime/http/server.js'
import type { Log } from '../../../runtime/log.js'
import { FakeClock } from '../../support/fake-clock.js'

/** Whom a server on the loopback address takes the sender of these header lines for. */
async function client(t: Test, trusted: string, ...lines: string[]): Promise<Client> {
  const server = new HttpServer({ onBug: error => t.fail(String(error)) })
  server.route('GET', '/', exchange => json(clientOf(exchange, networks.parse(trusted))))
  const socket = connect(server.listen('127.0.0.1', 0), '127.0.0.1')
  try {
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\n${lines.map(line => `${line}\r\n`).join('')}\r\n`)
    const answer = await new Promise<Buffer>(resolve => socket.once('data', resolve))
    return JSON.parse(answer.toString().split('\r\n\r\n')[1]!) as Client
  } finally {
    socket.destroy()
    server.close()
  }
}

const PROXY = '127.0.0.0/8, 10.0.0.0/8'
const local = { keys: ['127.0.0.1'], local: true }
/** Counted as the proxy, and excepted from nothing. */
const doubtful = { keys: ['127.0.0.1'], local: false }
const remote = (address: string) => ({ keys: address.includes(':') ? [address, `${address.replace(/:[0-9a-f]+$/, '')}:0/56`, `${address.replace(/:[0-9a-f]+$/, '')}/48`] : [address], local: false })

t.test('headers of who is not trusted mean nothing', async t => {
  t.same(await client(t, '', 'X-Forwarded-For: 192.0.2.1', 'Forwarded: for=192.0.2.1'), local)
  t.same(await client(t, '10.0.0.0/8', 'X-Forwarded-For: 192.0.2.1'), local)
})

t.test('the right-most address that is not a proxy is the client', async t => {
  const cases: [string, string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['1.1.1.1, 192.0.2.1', '192.0.2.1'],
    ['1.1.1.1, 192.0.2.1, 10.1.1.1', '192.0.2.1'],
    ['192.0.2.1:4711', '192.0.2.1'],
    ['what a client writes, 192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['[2001:db8:1:2::9]:80', '2001:db8:1:2'],
    ['fe80::1%br-lan', 'fe80:0:0:0'],
    ['::127.0.0.1', '0:0:0:0'],
    ['10.1.1.1, 10.1.1.2', '10.1.1.1'],
  ]
  for (const [value, key] of cases) t.same(await client(t, PROXY, `X-Forwarded-For: ${value}`), remote(key), value)
  for (const [value, key] of [['for=192.0.2.1;proto=https', '192.0.2.1'], ['for=1.1.1.1, for="192.0.2.1:80";by=10.1.1.1', '192.0.2.1'], ['For="[2001:db8:1:2::9]:4711"', '2001:db8:1:2'], ['for=192.0.2.1, for=10.1.1.1', '192.0.2.1']] as const) {
    t.same(await client(t, PROXY, `Forwarded: ${value}`), remote(key), value)
  }
})

t.test('a line that a proxy adds below the client\'s counts, not the client\'s', async t => {
  t.same(await client(t, PROXY, 'X-Forwarded-For: 1.1.1.1', 'X-Forwarded-For: 192.0.2.1'), remote('192.0.2.1'))
  t.same(await client(t, PROXY, 'Forwarded: for=1.1.1.1', 'Forwarded: for=192.0.2.1'), remote('192.0.2.1'))
})

t.test('what cannot be read counts as the proxy, which is then no exception', async t => {
  t.same(await client(t, PROXY), local, 'a proxy that names nobody is itself the client')
  for (const value of ['', 'unknown', '192.0.2.1, nonsense', '1', '0x7f.0.0.1', '::ffff:0x7f.0.0.1', '::ffff:010.0.0.1', '192.0.2.1,', '192.0.2.300']) t.same(await client(t, PROXY, `X-Forwarded-For: ${value}`), doubtful, `X-Forwarded-For: ${value}`)
  for (const value of ['', 'for=unknown', 'for=_hidden', 'by=10.0.0.1', 'for="192.0.2.1', 'for=192.0.2.1, ;;', '=']) t.same(await client(t, PROXY, `Forwarded: ${value}`), doubtful, `Forwarded: ${value}`)
})

t.test('a proxy that writes one header and passes the other on as it came gives nobody another address', async t => {
  t.same(await client(t, PROXY, 'Forwarded: for=1.1.1.1', 'X-Forwarded-For: 192.0.2.1'), doubtful)
  t.same(await client(t, PROXY, 'Forwarded: for=192.0.2.1', 'X-Forwarded-For: 1.1.1.1'), doubtful)
  t.same(await client(t, PROXY, 'Forwarded: for="::5"', 'X-Forwarded-For: ::1'), doubtful, 'counted as one, but one is local')
  t.same(await client(t, PROXY, 'Forwarded: for=192.0.2.1', 'X-Forwarded-For: 192.0.2.1'), remote('192.0.2.1'))
})

t.test('a header of the PROXY protocol is not believed', async t => {
  const server = new HttpServer({ onBug: error => t.fail(String(error)) })
  t.after(() => server.close())
  server.route('GET', '/', exchange => json(clientOf(exchange, networks.parse(PROXY))))
  const socket = connect(server.listen('127.0.0.1', 0), '127.0.0.1')
  t.after(() => socket.destroy())
  const addresses = Buffer.from([192, 0, 2, 1, 127, 0, 0, 1, 0x12, 0x34, 0, 80])
  const header = Buffer.concat([Buffer.from('0d0a0d0a000d0a515549540a2111', 'hex'), Buffer.from([0, addresses.length]), addresses])
  socket.write(Buffer.concat([header, Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')]))
  const answer = await new Promise<string>(resolve => {
    socket.once('data', data => resolve(data.toString()))
    socket.once('close', () => resolve('closed'))
  })
  t.notMatch(answer, '192.0.2.1')
})

t.test('IPv6 is counted by the network of 64 bits', async t => {
  const keys = (text: string) => keysOf(parseAddress(text)!)
  t.same(keys('2001:db8::1'), keys('2001:db8:0:0:ffff::'))
  t.same(keys('2001:db8:1:23ff::1'), ['2001:db8:1:23ff', '2001:db8:1:2300/56', '2001:db8:1/48'])
  const shared = (one: string, other: string) => keys(one).filter((key, level) => key === keys(other)[level]).length
  t.equal(shared('2001:db8:1:2300::1', '2001:db8:1:23ff::1'), 2, 'of one /56')
  t.equal(shared('2001:db8:1:2300::1', '2001:db8:1:2400::1'), 1, 'of one /48')
  t.equal(shared('2001:db8:1:2300::1', '2001:db8:2:2300::1'), 0)
  t.same(keys('::ffff:1.2.3.4'), ['1.2.3.4'])
})

t.test('a proxy nearby that nobody named is told of once an hour', async t => {
  const lines: unknown[] = []
  const log = { warn: (fields: object, event: string) => void lines.push({ event, ...fields }) } as unknown as Log
  const clock = new FakeClock()
  const clients = new Clients({ clock, log, trusted: networks.parse('10.0.0.1') })
  const ask = (peer: string, headers: Record<string, string> = { 'x-forwarded-for': '192.0.2.1' }) =>
    clients.of({ peer: () => parseAddress(peer), header: name => headers[name] ?? '', headers: name => (headers[name] === undefined ? [] : [headers[name]]) })
  t.same(ask('10.0.0.1'), remote('192.0.2.1'))
  ask('127.0.0.1', {})
  ask('198.51.100.1')
  t.same(lines, [], 'it is named, it is none, or it is anybody')
  t.same(ask('127.0.0.1'), local)
  ask('10.0.0.2')
  t.match(lines, [{ event: 'proxy_not_trusted', reason: /on this machine .* TRUSTED_PROXIES/ }])
  t.equal(lines.length, 1)
  await clock.advance(3_600_000)
  for (const peer of ['fd00::1', '10.0.0.2']) ask(peer, { forwarded: 'for=192.0.2.1' })
  t.equal(lines.length, 2)
  t.match(lines[1], { reason: /in a private network/ })
})
