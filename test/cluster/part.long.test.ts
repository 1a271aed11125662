import t, { type Test } from 'tap'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Guard } from '../../cluster/guard.js'
import { Part } from '../../cluster/part.js'
import { Ports } from '../../cluster/ports.js'
import { tempFolder } from '../support/folder.js'
import { isAlive } from '../support/process.js'
import { until } from '../support/until.js'

/** Listens on PORT and says that it is well; REPLY 503 says that it is not ready. */
const WELL = `require('http').createServer((q, s) => {
  s.statusCode = q.url === '/readyz' && require('fs').existsSync(process.env.NOT_READY ?? '') ? 503 : 200
  s.end('{"error":{"message":"the moon is not up"}}')
}).listen(process.env.PORT, '127.0.0.1', () => console.log('{"event":"listening"}'))`

async function part(t: Test, script: string, options: { restart?: boolean; watchdogMs?: number; env?: NodeJS.ProcessEnv } = {}) {
  const port = await new Ports().take('127.0.0.1')
  const lines: string[] = []
  const logFile = join(tempFolder(t), 'part')
  const made = new Part({
    id: 'part-1',
    args: ['-e', script],
    env: { ...process.env, ...options.env, PORT: String(port) },
    url: null,
    internalUrl: `http://127.0.0.1:${port}`,
    logFile,
    restart: options.restart ?? true,
    watchdogMs: options.watchdogMs ?? 5_000,
    say: line => lines.push(line),
    changed: () => {},
  })
  t.after(() => made.kill())
  return { part: made, lines, logFile }
}

t.test('a part is started, logs to its file, and is stopped', async t => {
  const { part: it, lines, logFile } = await part(t, WELL)
  await it.start()
  const pid = it.pid!
  t.ok(isAlive(pid))
  t.match(lines, [/part-1 +ready: pid/])
  t.match(readFileSync(`${logFile}.log`, 'utf8'), /listening/)
  await it.stop(5_000)
  t.notOk(isAlive(pid))
  t.equal(it.pid, null)
  t.equal(lines.length, 1, 'an ordered stop is no news')
})

t.test('a part that dies is started again', async t => {
  const { part: it, lines } = await part(t, WELL)
  await it.start()
  const first = it.pid!
  process.kill(first, 'SIGKILL')
  await until(() => lines.some(line => line.includes('ready again')))
  t.not(it.pid, first)
  t.match(lines[1], /was killed by SIGKILL; restarting it/)
})

t.test('a part that dies stays dead where it is not to be started again', async t => {
  const { part: it, lines } = await part(t, WELL, { restart: false })
  await it.start()
  process.kill(it.pid!, 'SIGKILL')
  await until(() => lines.length === 2)
  t.equal(it.pid, null)
  t.match(lines[1], /part-1 was killed by SIGKILL$/)
})

t.test('the watchdog ends a part that is frozen', async t => {
  const { part: it, lines } = await part(t, WELL, { watchdogMs: 600 })
  await it.start()
  const [first, before] = [it.pid!, lines.length] // a start that took long may have ended with its watchdog too
  process.kill(first, 'SIGSTOP')
  await until(() => lines.slice(before).some(line => line.includes('ready again')))
  t.notOk(isAlive(first))
  t.match(lines[before], /killed by the watchdog/)
})

t.test('a part that is not ready yet says what it waits for', async t => {
  const file = join(t.testdir({ 'not-ready': '' }), 'not-ready')
  const { part: it, lines } = await part(t, WELL, { env: { NOT_READY: file }, watchdogMs: 600 })
  const ready = it.start()
  await until(() => lines.some(line => /part-1 +waits: the moon is not up/.test(line)))
  rmSync(file)
  await ready
  t.match(lines.at(-1), /ready/)
})

t.test('bad configuration is told in its own words and ends the start', async t => {
  const { part: it } = await part(t, 'console.error("part: bad configuration\\nPORT: must be a port"); process.exit(2)')
  await t.rejects(it.start(), { message: 'part: bad configuration\nPORT: must be a port', exitStatus: 2 })
})

t.test('a part that does not come up and is not to be started again fails the start', async t => {
  const { part: it } = await part(t, 'throw new Error("broken")', { restart: false })
  await t.rejects(it.start(), { message: /^part-1 ended with status 1/, exitStatus: 1 })
})

t.test('a part that does not drain in time is ended', async t => {
  const { part: it } = await part(t, `process.on('SIGTERM', () => {}); ${WELL}`)
  await it.start()
  const pid = it.pid!
  await it.stop(100)
  t.notOk(isAlive(pid))
})

t.test('the guard lets go of what runs when it is closed', async t => {
  const { part: it } = await part(t, WELL)
  await it.start()
  const guard = new Guard()
  guard.protect([it.pid!])
  guard.close()
  const answer = await fetch(`${it.internalUrl}/healthz`)
  t.equal(answer.status, 200)
})
