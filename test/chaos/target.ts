import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { ClusterRecord, Member } from '../../cluster/folder.js'
import { joinConnectStrings, parseConnectString, parseServers } from '../../registry/zookeeper/connect-string.js'
import { readCredentials, type Credentials } from '../../registry/zookeeper/credentials.js'
import { Cluster } from '../support/cluster.js'
import { until } from '../support/until.js'
import { Builds } from './builds.js'
import { OwnCassandras } from './cassandras.js'
import type { ClusterLine } from './cluster-line.js'
import { Network } from './network.js'
import type { Address } from './viewer.js'
import { OwnZooKeepers, type ZooKeeperServer } from './zookeepers.js'

export type Role = 'edge' | 'dispatcher' | 'gateway'

export interface OwnClusterOptions {
  readonly gateways: number
  readonly dispatchers: number
  readonly edges: number
  /** Servers of its ZooKeeper. */
  readonly zookeepers: number
  /** Nodes of its Cassandra; 0: it stores in a file. */
  readonly cassandras: number
  /** Seconds; 0: frozen parts are left frozen. */
  readonly watchdog: number
  /** Whether parts reach each other through proxies too, not ZooKeeper alone. */
  readonly proxies: boolean
  /** The folder of another compiled build, that the parts begin with. */
  readonly otherBuild?: string | undefined
}

/** A cluster's place among several. */
export interface Among {
  readonly name: string
  readonly line: ClusterLine
}

interface Own {
  readonly cluster: Cluster
  readonly network: Network
  readonly zookeepers: OwnZooKeepers
  readonly builds: Builds | undefined
  readonly cassandras: OwnCassandras | undefined
  readonly among: Among | undefined
}

const POLL_MS = 50

/** A cluster under test, as its cluster.json has it at any moment. */
export class Target {
  /** Among several; '' where there is one. */
  readonly name: string
  readonly data: string
  readonly network: Network | undefined
  /** What its parts run, where there are two builds. */
  readonly builds: Builds | undefined
  /** Where it stores; undefined: in a file, or in what is not its own. */
  readonly cassandras: OwnCassandras | undefined
  record: ClusterRecord
  readonly #among: Among | undefined
  readonly #cluster: Cluster | undefined
  readonly #zookeepers: OwnZooKeepers | undefined
  readonly #timer: NodeJS.Timeout
  /** pid → since when its process is ending or gone, `performance.now()`. */
  readonly #gone = new Map<number, number>()
  /** Processes of gateways that have been ready. */
  readonly #ready = new Set<number>()

  private constructor(data: string, own?: Own) {
    this.data = data
    this.#among = own?.among
    this.name = own?.among?.name ?? ''
    this.#cluster = own?.cluster
    this.#zookeepers = own?.zookeepers
    this.network = own?.network
    this.builds = own?.builds
    this.cassandras = own?.cassandras
    this.record = read(data)!
    this.#askGateways()
    this.#timer = setInterval(() => this.#poll(), POLL_MS)
  }

  /** One that runs already. @throws Error when there is none, or its gateways share a port */
  static at(data: string): Target {
    const record = read(data)
    if (!record) throw new Error(`${join(data, 'cluster.json')} cannot be read: does a cluster run there?`)
    if (new Set(record.gateways.map(({ url }) => url)).size < record.gateways.length) throw new Error('its gateways share a port, and nobody knows which one a viewer is at: start it with SHARE_PORT=false')
    return new Target(data)
  }

  /** One of our own, in a new folder, on free ports. */
  static async start({ gateways, dispatchers, edges, zookeepers: servers, cassandras: nodes, watchdog, proxies, otherBuild }: OwnClusterOptions, among?: Among): Promise<Target> {
    const data = mkdtempSync(join(tmpdir(), `live-chaos-${among ? `${among.name}-` : ''}`))
    const ids = (role: string, count: number) => Array.from({ length: count }, (_, i) => `${role}-${i + 1}`)
    const network = await Network.open(proxies ? [...ids('edge', edges), ...ids('dispatcher', dispatchers)] : [], servers)
    const zookeepers = await OwnZooKeepers.start(data, servers)
    const cassandras = nodes > 0 ? await OwnCassandras.start(data, nodes) : undefined
    const store = cassandras ? ['--store', 'cassandra'] : []
    const counts = ['--gateways', gateways, '--dispatchers', dispatchers, '--edges', edges, '--watchdog', watchdog].map(String)
    const builds = otherBuild === undefined ? undefined : new Builds(otherBuild)
    // Another build may be the former one, which cannot prove itself.
    const proof = builds && { INTERNAL_PROOF: 'prefer' }
    const cluster = new Cluster(data, [...counts, ...store, '--zookeeper', zookeepers.url], { LOG_LEVEL: 'debug', ...proof, ...network.env, ...cassandras?.env, ...among?.line.env(among.name) }, [], builds?.entry)
    let up = false
    const ready = cluster.ready().finally(() => (up = true))
    try {
      while (!up) {
        const record = read(data)
        if (record) {
          network.update(record)
          among?.line.update(among.name, record)
        }
        await new Promise(resolve => setTimeout(resolve, POLL_MS))
      }
      await ready
    } catch (error) {
      await cluster.stop()
      await zookeepers.stop()
      await cassandras?.stop()
      await network.close()
      builds?.close()
      throw error
    }
    return new Target(data, { cluster, network, zookeepers, builds, cassandras, among })
  }

  get zookeepers(): readonly ZooKeeperServer[] {
    if (this.#zookeepers) return this.#zookeepers.servers
    return this.record.zookeeper.flatMap(({ id, pid, url }) => parseServers(parseConnectString(url!).servers).map(({ port }) => ({ id, pid, port })))
  }

  /** What ZOOKEEPER_CONNECT takes, without a proxy. */
  get zookeeperUrl(): string {
    return joinConnectStrings(this.record.zookeeper.map(({ url }) => url!))
  }

  /** Where the others reach the dispatchers: through their proxies, where there are any, since each proves itself for that address alone. */
  get dispatcherUrls(): string[] {
    return this.members('dispatcher').flatMap(({ id, internalUrl }) => {
      const proxy = this.network?.to(id)
      return proxy ? `http://127.0.0.1:${proxy.port}` : (internalUrl ?? [])
    })
  }

  /** What its parts want to be sent by each other, and by commands. */
  get internalToken(): string {
    return readFileSync(join(this.data, 'internal-token'), 'utf8').trim()
  }

  /** Its credentials for it. */
  get zookeeperAuth(): Credentials | undefined {
    const { zookeeperAuthFile: file } = this.record
    return file === undefined ? undefined : readCredentials(resolve(this.data, file))
  }

  /** SIGKILL of some servers, and back when `away` resolves. */
  async withoutZookeepers(ids: readonly string[], away: Promise<void>): Promise<void> {
    if (this.#zookeepers) {
      await this.#zookeepers.kill(ids)
      await away
      return this.#zookeepers.startAgain(ids)
    }
    // Their supervisor starts them again at once: they are away for as long as each one is killed.
    let over = false
    void away.then(() => (over = true))
    do {
      for (const { id, pid } of this.zookeepers) if (pid !== null && ids.includes(id)) this.signal(id, pid, 'SIGKILL')
      await new Promise(resolve => setTimeout(resolve, POLL_MS))
    } while (!over)
  }

  members(role: Role): readonly Member[] {
    return this.record[`${role}s`]
  }

  /** Gateways that a load balancer would send somebody to, or all while there is none. */
  addresses(): Address[] {
    const all = this.record.gateways.map(({ id, url, pid }) => ({ id: this.name === '' ? id : `${this.name}/${id}`, url: url!, pid }))
    const up = all.filter(({ pid }) => pid !== null && this.#ready.has(pid) && !this.#gone.has(pid))
    return up.length > 0 ? up : all
  }

  member(id: string): Member | undefined {
    const { zookeeper, gateways, dispatchers, edges } = this.record
    return [...zookeeper, ...gateways, ...dispatchers, ...edges].find(member => member.id === id)
  }

  /** Sends it a signal while it is still that process. @returns whether it did */
  signal(id: string, pid: number, signal: NodeJS.Signals): boolean {
    this.#poll()
    if (this.member(id)?.pid !== pid && !this.zookeepers.some(server => server.pid === pid)) return false
    if (signal === 'SIGKILL' || signal === 'SIGTERM') this.#gone.set(pid, performance.now())
    try {
      process.kill(pid, signal)
      return true
    } catch {
      return false
    }
  }

  /** Waits until another process than `pid` is that member, and ready. ZooKeeper may be away for half a minute meanwhile, and
   * what starts waits for it. */
  async again(id: string, pid: number, timeoutMs = 90_000): Promise<void> {
    await until(
      async () => {
        const member = this.member(id)
        if (!member?.internalUrl || member.pid === null || member.pid === pid) return false
        return fetch(`${member.internalUrl}/readyz`, { signal: AbortSignal.timeout(1_000) }).then(
          response => response.ok,
          () => false,
        )
      },
      { timeoutMs, what: `${id} runs again` },
    )
  }

  /** Waits until every part runs and is ready. */
  async whole(): Promise<void> {
    const all = [...this.record.gateways, ...this.record.dispatchers, ...this.record.edges]
    await Promise.all(all.map(({ id }) => this.again(id, -1, 60_000)))
  }

  /** Since when that process was ending or gone; undefined: it runs. */
  goneAt(pid: number | null): number | undefined {
    return pid === null ? 0 : this.#gone.get(pid)
  }

  /** Ends it, where it is ours. @param keep leave the folder of its data and logs */
  async close(keep: boolean): Promise<void> {
    clearInterval(this.#timer)
    if (!this.#cluster) return
    await this.#cluster.stop()
    await this.#zookeepers?.stop()
    await this.cassandras?.stop()
    await this.network?.close()
    this.builds?.close()
    if (!keep) rmSync(this.data, { recursive: true, force: true })
  }

  #poll(): void {
    const record = read(this.data)
    if (!record) return
    const pids = new Set([...record.gateways, ...record.dispatchers, ...record.edges].map(({ pid }) => pid))
    for (const { pid } of [...this.record.gateways, ...this.record.dispatchers, ...this.record.edges]) {
      if (pid !== null && !pids.has(pid) && !this.#gone.has(pid)) this.#gone.set(pid, performance.now() - POLL_MS)
    }
    this.record = record
    this.network?.update(record)
    this.#among?.line.update(this.#among.name, record)
    this.#askGateways()
  }

  #askGateways(): void {
    for (const { pid, internalUrl } of this.record.gateways) {
      if (pid === null || internalUrl === null || this.#ready.has(pid)) continue
      void fetch(`${internalUrl}/readyz`).then(
        ({ ok }) => ok && this.#ready.add(pid),
        () => undefined,
      )
    }
  }
}

function read(data: string): ClusterRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(data, 'cluster.json'), 'utf8')) as ClusterRecord
  } catch {
    return undefined
  }
}
