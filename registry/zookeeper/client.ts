import { EventEmitter, once } from 'node:events'
import zookeeper, { type ACL, type Client, type Event, type Stat } from 'node-zookeeper-client'
import { parseConnectString, type ConnectString } from './connect-string.js'
import type { Credentials } from './credentials.js'
import { abandon, harden, sync } from './harden.js'
import { connectionManagerOf, type LibraryError } from './internals.js'
import { nodeStatOf, type NodeStat } from './node-stat.js'
import { ZkError, isZk } from './zk-error.js'

/** Told once that something about the node at `path` changed: read it again. Pass the same function each time for one
 * purpose: the library keeps every other one as one more listener. */
export type Watch = (path: string) => void

export type WriteOp =
  | { readonly op: 'create'; readonly path: string; readonly data: Buffer; readonly ephemeral?: boolean }
  | { readonly op: 'setData'; readonly path: string; readonly data: Buffer; readonly version?: number }
  | { readonly op: 'check' | 'remove'; readonly path: string; readonly version?: number }

export interface ZkOptions {
  /** How long the session, and our ephemeral nodes, outlive a lost connection; 5 s by default. */
  readonly sessionTimeoutMs?: number
  /** How long a call may take; 10 s by default. */
  readonly callTimeoutMs?: number
  /** Shown at the start of every connection. What is made is then open to whoever shows one of them, and to nobody else;
   * without, it is open to all. */
  readonly auth?: Credentials | undefined
}

interface ZkEvents {
  /** A new session: no ephemeral node and no watch of the one before is left. Comes just before its `connected`. */
  session: []
  /** Connected, anew or again; watches of a session that survived have been set again. */
  connected: []
  /** The connection is lost; calls fail until `connected`, the session may live on. */
  suspended: []
  /** The session is lost, or given up; a new one is being opened. */
  expired: []
  /** Something odd that was survived. */
  warn: [error: Error]
}

/** Somebody who may read a node, or also change it, its children or its ACL. */
export interface Grant {
  readonly scheme: string
  readonly id: string
  readonly mayChange: boolean
}

/** Most bytes of data in one write. Beyond about 1,048,500 in a whole request the server hangs up, which fails every other
 * call under way too. */
export const maxDataBytes = 1_000_000

/** Disconnected for this many session timeouts, a session is given up: a server whose data was wiped refuses for ever,
 * and without a word, a client that has seen a later transaction than itself. */
const givenUpAfterTimeouts = 4

const anyVersion = -1

/** A long-lived handle on ZooKeeper: one session at a time, a new one when that is lost.
 *
 * All paths are below the chroot of the connect string. The chroot is a prefix put on here, not the library's, so that
 * {@link Zk.ensure} makes it like any other parent, also after the server's data was wiped.
 * Calls reject with a {@link ZkError}, at once while not connected: the library would queue them and run them whenever
 * the server is back. */
export class Zk extends EventEmitter<ZkEvents> {
  readonly #address: ConnectString
  readonly #sessionTimeoutMs: number
  readonly #callTimeoutMs: number
  readonly #auth: Credentials
  readonly #acl: ACL[]
  readonly #watches = new WeakMap<Watch, (event: Event) => void>()
  #client: Client
  #epoch = 0
  /** The present client has had its session. */
  #opened = false
  #closed = false
  #giveUpTimer: NodeJS.Timeout | undefined

  /** @param connect `host:port[,host:port…][/chroot]`.
   * @throws Error when `connect` is not that. */
  constructor(connect: string, options: ZkOptions = {}) {
    super()
    this.setMaxListeners(0)
    this.#address = parseConnectString(connect)
    this.#sessionTimeoutMs = options.sessionTimeoutMs ?? 5_000
    this.#callTimeoutMs = options.callTimeoutMs ?? 10_000
    this.#auth = options.auth ?? []
    this.#acl = this.#auth.length > 0 ? ACLS.CREATOR_ALL_ACL : ACLS.OPEN_ACL_UNSAFE
    this.#client = this.#open()
  }

  get connected(): boolean {
    return !this.#closed && this.#client.getState() === zookeeper.State.SYNC_CONNECTED
  }

  /** The `ephemeralOwner` of our nodes. */
  get sessionId(): bigint {
    return this.#client.getSessionId().readBigInt64BE(0)
  }

  /** As the server granted it, ms. */
  get sessionTimeoutMs(): number {
    return this.#client.getSessionTimeout()
  }

  /** Counts the sessions: what was read or watched under another epoch is stale. */
  get epoch(): number {
    return this.#epoch
  }

  /** The library's client behind the present session, for tests that break it. */
  get client(): Client {
    return this.#client
  }

  /** Resolves once connected, however long that takes.
   * @throws AbortError when `signal` comes first. */
  async ready(signal?: AbortSignal): Promise<void> {
    while (!this.connected) await once(this, 'connected', { signal })
  }

  /** Ends the session, where connected at once with all its ephemeral nodes. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#giveUpTimer)
    await abandon(this.#client)
  }

  getData(path: string, watch?: Watch): Promise<{ data: Buffer; stat: NodeStat }> {
    return this.#call('getData', path, (client, done) => {
      const reply = answer(done, (data: Buffer | undefined, stat: Stat) => ({
        data: data ?? Buffer.alloc(0),
        stat: nodeStatOf(stat),
      }))
      if (watch) client.getData(this.#full(path), this.#libraryWatch(watch), reply)
      else client.getData(this.#full(path), reply)
    })
  }

  /** Null where there is none; the watch then waits for its creation. */
  exists(path: string, watch?: Watch): Promise<NodeStat | null> {
    return this.#call('exists', path, (client, done) => {
      const reply = answer(done, (stat: Stat | null) => (stat ? nodeStatOf(stat) : null))
      if (watch) client.exists(this.#full(path), this.#libraryWatch(watch), reply)
      else client.exists(this.#full(path), reply)
    })
  }

  /** Names, not paths. The watch tells of children that come or go and of the node's own end, not of its data. */
  getChildren(path: string, watch?: Watch): Promise<{ names: string[]; stat: NodeStat }> {
    return this.#call('getChildren', path, (client, done) => {
      const reply = answer(done, (names: string[], stat: Stat) => ({ names, stat: nodeStatOf(stat) }))
      if (watch) client.getChildren(this.#full(path), this.#libraryWatch(watch), reply)
      else client.getChildren(this.#full(path), reply)
    })
  }

  /** @throws ZkError `BAD_VERSION` where the node's version is not `version`. */
  setData(path: string, data: Buffer, version = anyVersion): Promise<NodeStat> {
    return this.#call('setData', path, (client, done) => {
      refuseBig(data.length)
      client.setData(this.#full(path), data, version, answer(done, nodeStatOf))
    })
  }

  /** @throws ZkError `NODE_EXISTS`, or `NO_NODE` where the parent is missing. */
  create(path: string, data: Buffer, { ephemeral = false } = {}): Promise<void> {
    return this.#call('create', path, (client, done) => {
      refuseBig(data.length)
      client.create(this.#full(path), data, this.#acl, createMode(ephemeral), answer(done, nothing))
    })
  }

  remove(path: string, version = anyVersion): Promise<void> {
    return this.#call('remove', path, (client, done) => {
      client.remove(this.#full(path), version, answer(done, nothing))
    })
  }

  /** Who may do what with the node, as its ACL has it. */
  getAcl(path: string): Promise<Grant[]> {
    return this.#call('getACL', path, (client, done) => {
      client.getACL(this.#full(path), answer(done, grantsOf))
    })
  }

  /** Gives the node the ACL of what we make. */
  setAcl(path: string): Promise<void> {
    return this.#call('setACL', path, (client, done) => {
      client.setACL(this.#full(path), this.#acl, answer(done, nothing))
    })
  }

  /** After it, a read sees every write that was acknowledged to anyone before it. */
  sync(path: string): Promise<void> {
    return this.#call('sync', path, (client, done) => sync(client, this.#full(path), answer(done, nothing)))
  }

  /** All of `ops`, or none. Defect mended: the library sends version 0 as "any version", so that a compare-and-set on a
   * node never written since its creation always passed.
   * @throws ZkError with the code of the first that failed. */
  multi(ops: readonly WriteOp[]): Promise<void> {
    return this.#call('multi', ops.map(op => op.path).join(' '), (client, done) => {
      refuseBig(ops.reduce((bytes, op) => bytes + ('data' in op ? op.data.length : 0), 0))
      const transaction = client.transaction()
      const { ops: built } = transaction as unknown as { ops: { version?: number }[] }
      for (const op of ops) {
        const path = this.#full(op.path)
        if (op.op === 'create') transaction.create(path, op.data, this.#acl, createMode(op.ephemeral ?? false))
        else if (op.op === 'setData') transaction.setData(path, op.data)
        else transaction[op.op](path)
        if (op.op !== 'create') built.at(-1)!.version = op.version ?? anyVersion
      }
      transaction.commit(answer(done, nothing))
    })
  }

  /** Makes the node at `path`, empty, and its parents up to and including the chroot, where they are missing. */
  async ensure(path: string): Promise<void> {
    await this.#ensureFull(this.#full(path))
  }

  async #ensureFull(full: string): Promise<void> {
    try {
      await this.#makeFull(full)
    } catch (error) {
      if (!isZk(error, 'NO_NODE')) throw error
      await this.#ensureFull(parentOf(full))
      await this.#makeFull(full)
    }
  }

  async #makeFull(full: string): Promise<void> {
    try {
      await this.#call('create', full, (client, done) => client.create(full, Buffer.alloc(0), this.#acl, answer(done, nothing)))
    } catch (error) {
      if (!isZk(error, 'NODE_EXISTS')) throw error
    }
  }

  /** Opens a session with a client of its own: the library's is dead for ever once its session is lost.
   * @param zxid the newest transaction seen so far, so that no replica older than that is read from. */
  #open(zxid?: Buffer): Client {
    const client = zookeeper.createClient(this.#address.servers, {
      sessionTimeout: this.#sessionTimeoutMs,
      spinDelay: 250,
      // Retrying, the library would resend a write whose outcome is unknown.
      retries: 0,
    })
    harden(client, { onProtocolError: error => this.emit('warn', error) })
    if (zxid) connectionManagerOf(client).zxid = zxid
    // Before anything else, on every connection: what is sent ahead of them is answered NO_AUTH.
    for (const each of this.#auth) client.addAuthInfo('digest', Buffer.from(each))

    this.#opened = false
    client.on('state', state => {
      if (this.#client !== client || this.#closed) return
      if (state === zookeeper.State.SYNC_CONNECTED) {
        clearTimeout(this.#giveUpTimer)
        if (!this.#opened) {
          this.#opened = true
          this.#epoch++
          this.emit('session')
        }
        this.emit('connected')
      } else if (state === zookeeper.State.DISCONNECTED) {
        this.#giveUpLater(client)
        this.emit('suspended')
      } else if (state === zookeeper.State.EXPIRED) {
        queueMicrotask(() => this.#giveUp(client, connectionManagerOf(client).zxid))
      } else if (state === zookeeper.State.AUTH_FAILED) {
        this.emit('warn', new ZkError('AUTH_FAILED', 'authenticate', '/', true))
      }
    })
    this.#giveUpLater(client)
    client.connect()
    return client
  }

  #giveUpLater(client: Client): void {
    clearTimeout(this.#giveUpTimer)
    const afterMs = givenUpAfterTimeouts * client.getSessionTimeout()
    this.#giveUpTimer = setTimeout(() => this.#giveUp(client), afterMs).unref()
  }

  #giveUp(client: Client, zxid?: Buffer): void {
    if (this.#closed || this.#client !== client) return
    clearTimeout(this.#giveUpTimer)
    void abandon(client)
    if (this.#opened) this.emit('expired')
    // A listener may have closed us.
    if (!this.#closed) this.#client = this.#open(zxid)
  }

  #full(path: string): string {
    if (!path.startsWith('/')) throw new TypeError('a path begins with /')
    return path === '/' ? this.#address.chroot || '/' : this.#address.chroot + path
  }

  /** One function of the library's for one of ours. It runs outside the socket's handler, where a throw of the listener's
   * would be taken for a broken answer. */
  #libraryWatch(watch: Watch): (event: Event) => void {
    let library = this.#watches.get(watch)
    if (!library) {
      library = event => {
        const path = event.getPath().slice(this.#address.chroot.length) || '/'
        queueMicrotask(() => watch(path))
      }
      this.#watches.set(watch, library)
    }
    return library
  }

  #call<T>(op: string, path: string, run: (client: Client, done: Done<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!this.connected) {
        reject(new ZkError('CONNECTION_LOSS', op, path, false))
        return
      }
      const late = setTimeout(() => reject(new ZkError('TIMEOUT', op, path, true)), this.#callTimeoutMs)
      const done: Done<T> = (error, value) => {
        clearTimeout(late)
        if (error) reject(new ZkError(error.name, op, path, true, { cause: error }))
        else resolve(value as T)
      }
      try {
        run(this.#client, done)
      } catch (error) {
        // The library checks its arguments by assertion, at once.
        clearTimeout(late)
        reject(new ZkError('BAD_ARGUMENTS', op, path, false, { cause: error, detail: (error as Error).message }))
      }
    })
  }
}

type Done<T> = (error: LibraryError | null, value?: T) => void

/** The library's callback for `done`, its results made ours by `map`. */
function answer<Results extends unknown[], T>(done: Done<T>, map: (...results: Results) => T) {
  return (error: Error | object | null, ...results: Results): void => {
    if (error) done(error as LibraryError)
    else done(null, map(...results))
  }
}

const nothing = (): void => {}

/** Missing from the library's types. */
const ACLS = zookeeper.ACL as unknown as Readonly<Record<'OPEN_ACL_UNSAFE' | 'CREATOR_ALL_ACL', ACL[]>>

function grantsOf(acls: ACL[]): Grant[] {
  const list = acls as unknown as { permission: number; id: { scheme: string; id: string } }[]
  return list.map(({ permission, id: { scheme, id } }) => ({ scheme, id, mayChange: (permission & ~zookeeper.Permission.READ) !== 0 }))
}

function createMode(ephemeral: boolean): number {
  return ephemeral ? zookeeper.CreateMode.EPHEMERAL : zookeeper.CreateMode.PERSISTENT
}

function refuseBig(bytes: number): void {
  if (bytes > maxDataBytes) throw new RangeError(`${bytes} bytes of data, at most ${maxDataBytes}`)
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}
