import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import type { Test } from 'tap'
import type { ClusterRecord, Member } from '../../cluster/folder.js'
import { Guard } from '../../cluster/guard.js'
import type { Zk } from '../../registry/zookeeper/client.js'
import { joinConnectStrings } from '../../registry/zookeeper/connect-string.js'
import { readCredentials } from '../../registry/zookeeper/credentials.js'
import { Api } from './api.js'
import { tempFolder } from './folder.js'
import { isAlive } from './process.js'
import { ENTRY, plainNode, PROGRAM, type Outcome } from './program.js'
import { until } from './until.js'

export interface Exit {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
}

export interface StartOptions {
  /** The folder of its data; without, a new one that goes when the test ends. */
  readonly data?: string
  readonly env?: NodeJS.ProcessEnv
  /** Wait for the line that says it is ready: true by default. */
  readonly ready?: boolean
  /** A command that runs the supervisor, and becomes it. */
  readonly under?: readonly string[]
}

/** A whole cluster in processes of its own, as `npm start` runs it; but each gateway has a port of its own unless SHARE_PORT
 * says otherwise, so that a test can choose one. */
export class Cluster extends Api {
  readonly data: string
  readonly exited: Promise<Exit>
  /** What the supervisor has printed. */
  output = ''
  errors = ''
  readonly #process: ChildProcess

  constructor(data: string, flags: readonly string[], env: NodeJS.ProcessEnv = {}, under: readonly string[] = [], entry = ENTRY) {
    super()
    this.data = data
    const [command, ...args] = [...under, 'env', ...plainNode(env['NODE_OPTIONS']), entry, 'cluster', '--port', '0', '--data', this.data, ...flags]
    this.#process = spawn(command!, args, {
      env: { ...process.env, SHARE_PORT: 'false', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    // A test that is cut short must leave nothing either.
    const guard = new Guard()
    guard.protect([this.pid])
    this.#process.stdout!.setEncoding('utf8').on('data', (text: string) => (this.output += text))
    this.#process.stderr!.setEncoding('utf8').on('data', (text: string) => (this.errors += text))
    this.exited = new Promise(resolve =>
      this.#process.once('close', (status, signal) => {
        guard.close()
        resolve({ status, signal })
      }),
    )
  }

  /** The supervisor's. */
  get pid(): number {
    return this.#process.pid!
  }

  override get url(): string {
    const url = /is ready: (http\S+?)\/$/m.exec(this.output)?.[1]
    if (!url) throw new Error(`the cluster is not ready:\n${this.output}${this.errors}`)
    return url
  }

  async ready(): Promise<void> {
    let gone = false
    void this.exited.then(() => (gone = true))
    await until(() => gone || /is ready: http/.test(this.output), { timeoutMs: 60_000, what: 'the cluster is ready' })
    void this.url
  }

  record(): ClusterRecord {
    return JSON.parse(readFileSync(join(this.data, 'cluster.json'), 'utf8')) as ClusterRecord
  }

  members(): Member[] {
    const { zookeeper, cassandra = [], gateways, dispatchers, edges } = this.record()
    return [...zookeeper, ...cassandra, ...gateways, ...dispatchers, ...edges]
  }

  member(id: string): Member {
    const member = this.members().find(member => member.id === id)
    if (!member) throw new Error(`no ${id} in cluster.json`)
    return member
  }

  /** Sends a signal, SIGKILL by default. @returns the pid it went to */
  kill(id: string, signal: NodeJS.Signals = 'SIGKILL'): number {
    const { pid } = this.member(id)
    if (pid === null) throw new Error(`${id} is down`)
    process.kill(pid, signal)
    return pid
  }

  /** Waits until another process than `pid` is that member, and ready. */
  async again(id: string, pid: number): Promise<void> {
    await until(() => ![null, pid].includes(this.member(id).pid) && this.output.includes(`pid ${this.member(id).pid},`), { timeoutMs: 30_000, what: `${id} runs again` })
  }

  /** The parts' internal token. */
  get token(): string {
    return readFileSync(join(this.data, 'internal-token'), 'utf8').trim()
  }

  /** Sum of a metric's samples at one member; 0 where there is none. */
  async metric(id: string, name: string): Promise<number> {
    return (await this.metrics(id))(name)
  }

  /** The same for any number of metrics of one moment: reading them takes a member's time. */
  async metrics(id: string): Promise<(name: string) => number> {
    const response = await fetch(`${this.member(id).internalUrl}/metrics`, { headers: { authorization: `Bearer ${this.token}` }, signal: AbortSignal.timeout(30_000) })
    const lines = (await response.text()).split('\n')
    return name => lines.filter(line => line.startsWith(`${name} `) || line.startsWith(`${name}{`)).reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
  }

  /** What a part or a command needs in its environment to use this cluster's ZooKeeper. */
  get zookeeperEnv(): { readonly ZOOKEEPER_CONNECT: string; readonly ZOOKEEPER_AUTH_FILE?: string } {
    const { zookeeper, zookeeperAuthFile: file } = this.record()
    return { ZOOKEEPER_CONNECT: joinConnectStrings(zookeeper.map(({ url }) => url!)), ...(file === undefined ? {} : { ZOOKEEPER_AUTH_FILE: resolve(this.data, file) }) }
  }

  /** A client of this cluster's ZooKeeper, with its credentials. */
  async openZk(t: Test): Promise<Zk> {
    const { openZk } = await import('./zookeeper.js')
    const { ZOOKEEPER_CONNECT, ZOOKEEPER_AUTH_FILE: file } = this.zookeeperEnv
    return openZk(t, ZOOKEEPER_CONNECT, { auth: file === undefined ? undefined : readCredentials(file) })
  }

  /** An operators' command, against this cluster's ZooKeeper. */
  async registry(...argv: string[]): Promise<Outcome> {
    const { operate } = await import('./operator.js') // most tests need none of it
    return operate(argv, { env: this.zookeeperEnv })
  }

  /** Ctrl-C, as the supervisor sees it. */
  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<Exit> {
    this.#process.kill(signal)
    return this.exited
  }

  /** Ends the supervisor without a chance to clean up. */
  async crash(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.exited
  }
}

/** Starts a cluster on free ports; it is stopped when `t` ends. */
export async function startCluster(t: Test, flags: readonly string[] = [], options: StartOptions = {}): Promise<Cluster> {
  const cluster = new Cluster(options.data ?? tempFolder(t), flags, options.env, options.under)
  t.after(async () => {
    if (isAlive(cluster.pid)) await cluster.stop()
  })
  if (options.ready ?? true) await cluster.ready()
  return cluster
}

/** Runs the program to its end. */
export function run(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  return finished(spawn('env', [...PROGRAM, ...argv], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] }))
}

/** Runs the program to its end in `folder`. */
export function runIn(folder: string, argv: readonly string[]): Promise<Outcome> {
  return finished(spawn('env', [...PROGRAM, ...argv], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] }))
}

/** What a process wrote, when it has ended. */
export function finished(child: ChildProcessByStdio<null, Readable, Readable>): Promise<Outcome> {
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise(resolve => child.once('close', status => resolve({ status, stdout, stderr })))
}
