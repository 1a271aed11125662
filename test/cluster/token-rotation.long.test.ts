import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Guard } from '../../cluster/guard.js'
import { Ports } from '../../cluster/ports.js'
import { tempFolder } from '../support/folder.js'
import { PROGRAM } from '../support/program.js'
import { until } from '../support/until.js'
import { startZooKeeper } from '../support/zookeeper.js'

t.setTimeout(230_000)

const OLD = 'the-token-so-far-of-the-parts'
const NEW = 'the-token-to-be-of-the-parts'
const ports = new Ports()

/** One part under whatever supervises it in production: started, asked to stop, started again with another environment. */
class Supervised {
  readonly role: string
  readonly internalUrl: string
  readonly url: string
  /** What it refused for its token, over all of its lives. */
  unauthorized = 0
  #process: ChildProcess | undefined
  #token = ''
  readonly #env: NodeJS.ProcessEnv
  readonly #guard: Guard

  constructor(guard: Guard, role: string, id: string, port: number, internalPort: number, env: NodeJS.ProcessEnv) {
    this.role = role
    this.#guard = guard
    this.url = `http://127.0.0.1:${port}`
    this.internalUrl = `http://127.0.0.1:${internalPort}`
    this.#env = { ...process.env, ...env, NODE_ID: id, PORT: String(port), INTERNAL_PORT: String(internalPort), LOG_LEVEL: 'error' }
  }

  async start(token: string): Promise<void> {
    this.#token = token
    this.#process = spawn('env', [...PROGRAM, this.role], { env: { ...this.#env, INTERNAL_TOKEN: token }, stdio: 'ignore', detached: true })
    this.#guard.protect([...running].map(part => part.#process?.pid).filter(pid => pid !== undefined))
    await until(() => fetch(`${this.internalUrl}/readyz`).then(({ ok }) => ok, () => false), { timeoutMs: 30_000, what: `${this.role} is ready` })
  }

  /** Reads what it counted, and asks it to stop. */
  async stop(): Promise<void> {
    const answer = await fetch(`${this.internalUrl}/metrics`, { headers: { authorization: `Bearer ${this.#token.split(',')[0]}` } })
    this.unauthorized += Number(/^live_internal_refusals_total\{code="UNAUTHORIZED"\} (\d+)$/m.exec(await answer.text())?.[1])
    const exited = once(this.#process!, 'exit')
    this.#process!.kill('SIGTERM')
    const [code] = (await exited) as [number | null]
    if (code !== 0) throw new Error(`${this.role} ended with status ${code}`)
  }

  kill(): void {
    this.#process?.kill('SIGKILL')
  }
}

const running = new Set<Supervised>()

/** Two of each, with a store and a ZooKeeper. */
async function parts(t: Test): Promise<Supervised[]> {
  const zookeeper = await startZooKeeper(t)
  const guard = new Guard()
  t.after(() => guard.close())
  const env = { ZOOKEEPER_CONNECT: `${zookeeper.connect}/rotation`, STORE_URL: `sqlite:${join(tempFolder(t), 'comments.db')}` }
  for (const number of [1, 2]) {
    for (const role of ['dispatcher', 'edge', 'gateway']) running.add(new Supervised(guard, role, `${role}-${number}`, await ports.take('127.0.0.1'), await ports.take('127.0.0.1'), env))
  }
  t.after(() => {
    for (const part of running) part.kill()
  })
  return [...running]
}

t.test('the token is changed under posts, part by part, and no call is refused', async t => {
  const all = await parts(t)
  await Promise.all(all.map(part => part.start(OLD)))
  // As a balancer does: a gateway that is about to stop is sent nothing more, and stops when what it was sent is answered.
  const underWay = new Map<Supervised, number>()
  const gateways = new Set(all.filter(({ role }) => role === 'gateway'))
  const answers = new Map<string, number>()
  let posting = true
  const poster = async (name: string) => {
    for (let n = 0; posting; n++) {
      const [gateway] = [...gateways].sort(() => Math.random() - 0.5)
      underWay.set(gateway!, (underWay.get(gateway!) ?? 0) + 1)
      const response = await fetch(`${gateway!.url}/comments/video${n % 20}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ content: `${name} ${n}` }) })
      await response.arrayBuffer()
      underWay.set(gateway!, underWay.get(gateway!)! - 1)
      answers.set(String(response.status), (answers.get(String(response.status)) ?? 0) + 1)
      await sleep(20)
    }
  }
  const posters = Promise.all(['ann', 'bob', 'cem'].map(poster))

  for (const token of [`${OLD},${NEW}`, `${NEW},${OLD}`, NEW]) {
    for (const number of [0, 1]) {
      // One of each at a time; in which order they come up is not ours to say.
      await Promise.all(all.slice(3 * number, 3 * number + 3).map(async part => {
        gateways.delete(part)
        await until(() => !underWay.get(part))
        await part.stop()
        await part.start(token)
        if (part.role === 'gateway') gateways.add(part)
      }))
    }
  }
  posting = false
  await posters
  for (const part of all) await part.stop()
  t.comment(`${answers.get('201')} posts`)
  t.same([...answers.keys()], ['201'])
  t.same(all.map(({ unauthorized }) => unauthorized), [0, 0, 0, 0, 0, 0])
})
