import Database from 'better-sqlite3'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from '../../cluster/folder.js'
import { DISPATCHERS, EDGES } from '../../protocol/nodes.js'
import { drain, undrain } from '../../cli/drain.js'
import { Zk } from '../../registry/zookeeper/client.js'
import { modeOf } from '../../registry/zookeeper/four-letter-word.js'
import { expireSessionOf } from '../support/expire-session.js'
import { until } from '../support/until.js'
import type { Audience } from './audience.js'
import type { ClusterLine, LineTrouble } from './cluster-line.js'
import type { Posters } from './posters.js'
import type { Random } from '../support/random.js'
import { faultName, type Fault } from './schedule.js'
import type { Done } from './silences.js'
import type { Role, Target } from './target.js'
import type { ZooKeeperServer } from './zookeepers.js'

export interface FaultsOptions {
  /** The cluster of which it breaks parts. */
  readonly target: Target
  /** From it to another one, where there is one. */
  readonly line: ClusterLine | undefined
  readonly audience: Audience
  readonly posters: Posters
  readonly videos: readonly string[]
  readonly random: Random
  readonly say: (line: string) => void
}

const ZOOKEEPER_PATIENCE_MS = 5_000
/** Long comments, 4 KB each, a second: fills a stalled reader's sockets in some seconds. */
const BURST_RATE = 150
const DELAY_MS = 150

class Skipped extends Error {}

/** Does what the schedule says, and notes from when to when. */
export class Faults {
  readonly done: Done[] = []
  readonly skipped: string[] = []
  readonly #options: FaultsOptions
  readonly #ending = new AbortController()
  #zookeeperBroken = false

  constructor(options: FaultsOptions) {
    this.#options = options
  }

  /** Does one, and resolves when it is over. Never rejects for a fault that could not be done. */
  async do(fault: Fault): Promise<void> {
    const name = faultName(fault)
    const where = this.#options.target.name && fault.kind !== 'line' ? `${this.#options.target.name} ` : ''
    const from = performance.now()
    const done: Done = { name, detail: '', from, to: Infinity }
    this.done.push(done)
    try {
      await this.#carryOut(fault, detail => {
        done.detail = where + detail
        this.#options.say(`${name}: ${done.detail}`)
      })
    } catch (error) {
      if (!(error instanceof Skipped)) throw error
      this.done.splice(this.done.indexOf(done), 1)
      this.skipped.push(name)
      this.#options.say(`${name}: skipped, ${where}${error.message}`)
    } finally {
      done.to = performance.now()
    }
  }

  /** Ends what is still kept up: every `do` resolves soon. */
  end(): void {
    this.#ending.abort()
  }

  async #carryOut(fault: Fault, say: (detail: string) => void): Promise<void> {
    const { kind, durationMs } = fault
    const { target, audience, random, videos, posters } = this.#options
    switch (kind) {
      case 'kill':
      case 'term': {
        const { id, pid } = this.#pick(fault)
        const signal = kind === 'kill' ? 'SIGKILL' : 'SIGTERM'
        say(`${id}, pid ${pid}`)
        target.signal(id, pid, signal)
        return target.again(id, pid)
      }
      case 'freeze':
        return this.#freeze(this.#pick(fault), durationMs, say)
      case 'expire':
        return this.#expire(this.#pick(fault), say)
      case 'zookeeper':
        return this.#zookeeper(fault, say)
      case 'net':
        return this.#net(fault, say)
      case 'slow': {
        const videoId = random.pick(videos.slice(0, Math.ceil(videos.length / 10)))
        const viewers = audience.on(videoId).filter(() => random.next() < 0.5)
        say(`${viewers.length} of ${videoId} stop reading for ${durationMs} ms, long comments on it`)
        const calm = posters.burst(videoId, BURST_RATE)
        for (const viewer of viewers) viewer.stall()
        await this.#keep(durationMs)
        for (const viewer of viewers) viewer.unstall()
        calm()
        return
      }
      case 'pipe': {
        const videoId = random.pick(videos)
        const calm = posters.burst(videoId, BURST_RATE * 2)
        try {
          await this.#freeze(this.#pick({ way: 'edge', which: fault.which }), durationMs, detail => say(`${detail}, long comments on ${videoId}`))
        } finally {
          calm()
        }
        return
      }
      case 'busy':
        say(`for ${durationMs} ms`)
        return this.#busy(durationMs)
      case 'cassandra':
        return this.#cassandra(fault, say)
      case 'churn':
        say(`${audience.storm()} viewers reconnect`)
        return
      case 'drain':
        return this.#drain(this.#pick(fault), durationMs, say)
      case 'rolling':
        return this.#rolling(say)
      case 'line':
        return this.#line(fault, say)
    }
  }

  /** A member that runs. */
  #pick({ way, which }: Pick<Fault, 'way' | 'which'>): Member & { pid: number } {
    const running = this.#options.target.members(way as Role).filter((member): member is Member & { pid: number } => member.pid !== null)
    const member = running[Math.floor(which * running.length)]
    if (!member) throw new Skipped(`no ${way} runs`)
    return member
  }

  async #freeze({ id, pid }: { id: string; pid: number | null }, durationMs: number, say: (detail: string) => void): Promise<void> {
    if (pid === null || !this.#options.target.signal(id, pid, 'SIGSTOP')) throw new Skipped(`${id} is down`)
    say(`${id}, pid ${pid}, for ${durationMs} ms`)
    await this.#keep(durationMs)
    if (this.#options.target.signal(id, pid, 'SIGCONT')) return
    if (!id.startsWith('zookeeper')) await this.#options.target.again(id, pid) // the watchdog ended it
  }

  async #expire({ id, pid }: { id: string; pid: number }, say: (detail: string) => void): Promise<void> {
    const path = `${id.startsWith('edge') ? EDGES : DISPATCHERS}/${id}`
    await this.#withZookeeper(async (zk, port) => {
      const { stat } = await zk.getData(path)
      say(`${id}, session ${stat.ephemeralOwner.toString(16)}`)
      await expireSessionOf(pid, stat.ephemeralOwner, port)
    })
  }

  async #zookeeper(fault: Fault, say: (detail: string) => void): Promise<void> {
    const { target, random } = this.#options
    if (fault.way === 'cut') {
      if (!target.network) throw new Skipped('it takes a cluster of our own')
      const bytes = random.whole(1, 2_000)
      say(`after ${bytes} bytes`)
      return random.pick(target.network.zookeepers).cutAfter(bytes)
    }
    if (this.#zookeeperBroken) throw new Skipped('another fault of ZooKeeper is under way')
    if (target.zookeepers.some(({ pid }) => pid === null)) throw new Skipped('a server is down, or not the cluster\'s own')
    this.#zookeeperBroken = true
    try {
      await this.#breakZookeeper(fault, say)
      await this.#zookeepersServe()
    } finally {
      this.#zookeeperBroken = false
    }
  }

  async #breakZookeeper({ way, which, durationMs }: Fault, say: (detail: string) => void): Promise<void> {
    if (way === 'rolling') return this.#rollingZookeepers(say)
    const servers = await this.#servers(way, which)
    const names = servers.map(({ id, pid }) => `${id}, pid ${pid}`).join(', ')
    if (way.endsWith('frozen') || (way === 'quorum lost' && which < 0.5)) {
      say(`${names}, frozen for ${durationMs} ms`)
      await Promise.all(servers.map(server => this.#freeze(server, durationMs, () => {})))
      return
    }
    say(`${names}, killed, for ${durationMs} ms`)
    await this.#options.target.withoutZookeepers(servers.map(({ id }) => id), this.#keep(durationMs))
  }

  /** The servers that a fault is about. @throws Skipped where there is no leader */
  async #servers(way: string, which: number): Promise<readonly ZooKeeperServer[]> {
    const all = this.#options.target.zookeepers
    if (all.length === 1) return all
    const modes = await Promise.all(all.map(({ port }) => modeOf('127.0.0.1', port)))
    const leader = all.find((_, i) => modes[i] === 'leader')
    if (!leader) throw new Skipped('no server leads')
    const followers = all.filter(server => server !== leader)
    if (way.startsWith('leader')) return [leader]
    if (way.startsWith('follower')) return [followers[Math.floor(which * followers.length)]!]
    // Most of them: what is left is no quorum.
    return [leader, ...followers].slice(0, Math.ceil(all.length / 2))
  }

  /** Every server, followers first, each back before the next, as an operator does it. */
  async #rollingZookeepers(say: (detail: string) => void): Promise<void> {
    const { target } = this.#options
    const [leader] = await this.#servers('leader', 0)
    for (const { id, pid } of [...target.zookeepers.filter(({ id }) => id !== leader!.id), leader!]) {
      say(`${id}, pid ${pid}`)
      await target.withoutZookeepers([id], Promise.resolve())
      await this.#zookeepersServe()
    }
  }

  /** Waits until every server serves. */
  async #zookeepersServe(): Promise<void> {
    const serve = async () => {
      const modes = await Promise.all(this.#options.target.zookeepers.map(({ port }) => modeOf('127.0.0.1', port)))
      return modes.every(mode => mode !== undefined)
    }
    await until(serve, { timeoutMs: 30_000, what: 'every ZooKeeper server serves' })
  }

  async #net({ way, which, durationMs }: Fault, say: (detail: string) => void): Promise<void> {
    const [role = '', how = ''] = way.split(' ')
    const { id } = this.#pick({ way: role, which })
    const proxy = this.#options.target.network?.to(id)
    if (!proxy) throw new Skipped('it takes a cluster of our own')
    say(`${id}${durationMs > 0 ? `, for ${durationMs} ms` : ''}`)
    if (how === 'cut') return proxy.cut()
    if (how === 'half-closed') return proxy.halfClose()
    if (how === 'delayed') proxy.delayMs = DELAY_MS
    else proxy.silent = true
    await this.#keep(durationMs)
    proxy.delayMs = 0
    proxy.silent = false
  }

  /** The line to and from another cluster: half of the time both ways, else for what this cluster is asked and sent, or asks and sends. */
  async #line({ way, which, durationMs }: Fault, say: (detail: string) => void): Promise<void> {
    const { target, line } = this.#options
    if (!line) throw new Skipped('it takes two clusters')
    const to = which < 0.5 ? undefined : target.name
    say(`${to ? `to ${to}` : 'both ways'}, for ${durationMs} ms`)
    const heal = line.trouble(way as LineTrouble, to)
    await this.#keep(durationMs)
    heal()
  }

  /** A node is away; where it is the only one, it may also be slow, or its answers are lost after the effect. */
  async #cassandra({ way, which, durationMs }: Fault, say: (detail: string) => void): Promise<void> {
    const { cassandras } = this.#options.target
    if (!cassandras) throw new Skipped('it takes a Cassandra of our own')
    const { nodes, proxy } = cassandras
    if (nodes.some(({ isUp }) => !isUp)) throw new Skipped('a node is away')
    const number = Math.floor(which * nodes.length)
    const node = nodes[number]!
    const name = `node ${number + 1}`
    if (way === 'killed') {
      say(`${name}, for ${durationMs} ms and its start`)
      await node.kill()
      await this.#keep(durationMs)
      return node.start()
    }
    if (way === 'frozen') {
      say(`${name}, for ${durationMs} ms`)
      node.freeze()
      await this.#keep(durationMs)
      return node.isUp ? node.thaw() : undefined
    }
    if (!proxy) throw new Skipped('it takes a single node')
    if (way === 'answers lost') {
      say(name)
      return proxy.cutAfter(1)
    }
    say(`${name}, for ${durationMs} ms`)
    proxy.delayMs = DELAY_MS
    await this.#keep(durationMs)
    proxy.delayMs = 0
  }

  /** Another process writes, or so it seems to the dispatchers. */
  async #busy(durationMs: number): Promise<void> {
    if (this.#options.target.cassandras) throw new Skipped('it takes a store in a file')
    const database = new Database(join(this.#options.target.data, 'comments.db'), { timeout: 0 })
    try {
      await until(
        () => {
          try {
            database.exec('BEGIN IMMEDIATE')
            return true
          } catch (error) {
            if ((error as { code?: string }).code?.startsWith('SQLITE_BUSY')) return false
            throw error
          }
        },
        { timeoutMs: 10_000, what: 'the store can be locked' },
      )
      await this.#keep(durationMs)
    } finally {
      database.close()
    }
  }

  async #drain({ id, pid }: { id: string; pid: number }, durationMs: number, say: (detail: string) => void): Promise<void> {
    await this.#withZookeeper(zk => drain(zk, id))
    say(`${id}, pid ${pid}, taken back after ${durationMs} ms`)
    await this.#keep(durationMs)
    await this.#withZookeeper(zk => undrain(zk, id), 40_000)
  }

  /** Every process, one after the other, as an operator brings a new version out. */
  async #rolling(say: (detail: string) => void): Promise<void> {
    const { target } = this.#options
    const { builds } = target
    // With two builds, both ways; without, each process once.
    for (const build of builds ? (['this', 'other'] as const) : [undefined]) {
      if (build) builds!.use(build)
      for (const id of this.#rollingOrder()) {
        const pid = target.member(id)?.pid
        if (!pid || !target.signal(id, pid, 'SIGTERM')) continue
        say(`${id}, pid ${pid}${build ? `, to ${build} build` : ''}`)
        await target.again(id, pid)
      }
    }
  }

  /** One of each part first, then the others the other way round: where two versions cannot talk to each other, each is
   * whole all the time. */
  #rollingOrder(): string[] {
    const ids = (role: Role) => this.#options.target.members(role).map(({ id }) => id)
    const [[dispatcher, ...dispatchers], [edge, ...edges], [gateway, ...gateways]] = [ids('dispatcher'), ids('edge'), ids('gateway')]
    return [dispatcher!, edge!, gateway!, ...gateways, ...edges, ...dispatchers]
  }

  async #withZookeeper(task: (zk: Zk, port: number) => Promise<unknown>, patienceMs = ZOOKEEPER_PATIENCE_MS): Promise<void> {
    const { zookeeperUrl, zookeeperAuth: auth } = this.#options.target
    const zk = new Zk(zookeeperUrl, { auth })
    try {
      await zk.ready(AbortSignal.timeout(patienceMs))
      await task(zk, await this.#servingPort())
    } catch (error) {
      throw new Skipped(`ZooKeeper: ${(error as Error).message}`, { cause: error })
    } finally {
      await zk.close()
    }
  }

  async #servingPort(): Promise<number> {
    for (const { port } of this.#options.target.zookeepers) if (await modeOf('127.0.0.1', port)) return port
    throw new Error('no server serves')
  }

  async #keep(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#ending.signal }).catch(() => {})
  }
}
