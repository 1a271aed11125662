import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Test } from 'tap'
import { plainNode } from './program.js'

/** Listens, says where, and never accepts: its queue is soon full. */
const LISTENER = `
  const server = require('node:net').createServer()
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
    require('node:fs').writeSync(1, String(server.address().port))
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })`
/** More connections than the queue takes. */
const FILLERS = 6
const FILL_MS = 300

/** A port that drops SYNs, as a machine that is down does: whoever connects hears nothing, not even a refusal.
 * @returns its number on 127.0.0.1; it is closed when `t` ends */
export async function openHole(t: Test): Promise<number> {
  const child = spawn('env', [...plainNode(), '-e', LISTENER], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const [text] = (await once(child.stdout, 'data')) as [Buffer]
  const port = Number(text)
  const fillers = Array.from({ length: FILLERS }, () => connect(port, '127.0.0.1').on('error', () => {}))
  t.after(() => fillers.forEach((filler: Socket) => filler.destroy()))
  await new Promise(resolve => setTimeout(resolve, FILL_MS))
  if (!fillers.some(({ connecting }) => connecting)) throw new Error('the port takes every connection')
  return port
}
