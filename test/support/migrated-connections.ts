import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { Ports } from '../../cluster/ports.js'
import { json } from '../../runtime/http/reply.js'
import { HttpServer } from '../../runtime/http/server.js'
import { prepareNetwork } from './own-network.js'

/** A process of its own, in a network namespace. Two servers share a port, and one closes at once, with connections that it
 * has not accepted. Prints how many were answered and how many reset, without net.ipv4.tcp_migrate_req and with it, as JSON. */
const CONNECTIONS = 60
const ports = new Ports()

async function closeOne(): Promise<{ answered: number; reset: number }> {
  const [leaving, staying] = [1, 2].map(() => new HttpServer({
    onBug: error => {
      throw error
    },
  }).route('GET', '/', () => json({}))) as [HttpServer, HttpServer]
  const port = await ports.take('127.0.0.1')
  for (const server of [leaving, staying]) server.listen('127.0.0.1', port, true)
  const outcome = { answered: 0, reset: 0 }
  const all = Array.from({ length: CONNECTIONS }, async () => {
    const socket = connect(port, '127.0.0.1')
    socket.on('data', () => {
      outcome.answered++
      socket.end()
    })
    socket.on('error', () => outcome.reset++)
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await new Promise(resolve => socket.once('close', resolve))
  })
  await new Promise(resolve => process.nextTick(resolve)) // the kernel has them by now, and we have not run since
  leaving.close()
  await Promise.all(all)
  staying.close()
  return outcome
}

const why = prepareNetwork()
if (why !== undefined) throw new Error(why)
const migrate = (value: string) => writeFileSync('/proc/sys/net/ipv4/tcp_migrate_req', value)
migrate('0')
const kept = await closeOne()
migrate('1')
process.stdout.write(JSON.stringify({ kept, migrated: await closeOne() }))
