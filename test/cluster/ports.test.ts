import { once } from 'node:events'
import { createServer } from 'node:net'
import t from 'tap'
import { Ports } from '../../cluster/ports.js'

const HOST = '127.0.0.1'

t.test('a port is given to one alone, though nobody listens on it yet, and a port that is taken to nobody', async t => {
  const [one, other] = [new Ports(), new Ports()] // they begin at the same port, as those of two processes may
  const first = await one.take(HOST)
  const server = createServer().listen(first + 1, HOST)
  await once(server, 'listening')
  t.after(() => server.close())
  const taken = [first]
  for (let i = 0; i < 10; i++) taken.push(await other.take(HOST), await one.take(HOST))
  t.equal(new Set(taken).size, taken.length)
  t.notOk(taken.includes(first + 1))
})
