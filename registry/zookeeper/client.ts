import zookeeper, { type ACL, type Client, type Event, type Stat } from 'node-zookeeper-client'
import { MAX_ZNODE_BYTES } from '../../protocol/nodes.js'
import { aclFor, grantsOf, type Grant } from './acl.js'
import { answer, call, type Done } from './call.js'
import { parseConnectString } from './connect-string.js'
import type { Credentials } from './credentials.js'
import { sync } from './harden.js'
import { nodeStatOf, type NodeStat } from './node-stat.js'
import { Session, type SessionListener } from './session.js'
import { isZkError } from './zk-error.js'

/** Called once, when something about the node at `path` has changed: read it again. Give the same function at each read
 * for the same purpose: the library keeps every other function as one more listener. */
export type Watch = (path: string) => void

/** One step of {@link Zk.multi}. Without a version, any version will do. */
export type WriteOp =
  | { readonly op: 'create'; readonly path: string; readonly data: Buffer; readonly ephemeral?: boolean }
  | { readonly op: 'setData'; readonly path: string; readonly data: Buffer; readonly version?: number }
  | { readonly op: 'check' | 'remove'; readonly path: string; readonly version?: number }

/** The callbacks are those of the session's first listener. */
export interface ZkOptions extends SessionListener {
  /** How long the session, and our ephemeral nodes, outlive a lost connection; 5 s by default. */
  readonly sessionTimeoutMs?: number
  /** How long a call may take; 10 s by default. */
  readonly callTimeoutMs?: number
  /** Shown at the start of every connection. What we make is then open to whoever shows one of them, and to nobody else;
   * without credentials it is open to all. */
  readonly auth?: Credentials | undefined
}

const SESSION_TIMEOUT_MS = 5_000
const CALL_TIMEOUT_MS = 10_000

const ANY_VERSION = -1

/** ZooKeeper's calls, made in a {@link Session} that is opened anew whenever it is lost.
 *
 * All paths are below the chroot of the connect string. The chroot is a prefix added here, not by the library, so that
 * {@link Zk.ensure} makes it like any other parent, also after the server's data was wiped.
 *
 * A call that fails rejects with a ZkError. Without a connection it fails at once: the library would queue the call
 * and run it whenever the server is back. */
export class Zk {
  readonly session: Session
  readonly #chroot: string
  readonly #callTimeoutMs: number
  readonly #acl: ACL[]
  readonly #watches = new WeakMap<Watch, (event: Event) => void>()

  /** @param connect `host:port[,host:port…][/chroot]`
   * @throws Error when `connect` is not that */
  constructor(connect: string, options: ZkOptions = {}) {
    const { servers, chroot } = parseConnectString(connect)
    const auth = options.auth ?? []
    this.#chroot = chroot
    this.#callTimeoutMs = options.callTimeoutMs ?? CALL_TIMEOUT_MS
    this.#acl = aclFor(auth)
    this.session = new Session({ servers, timeoutMs: options.sessionTimeoutMs ?? SESSION_TIMEOUT_MS, auth, listener: options })
  }

  get connected(): boolean {
    return this.session.connected
  }

  /** Resolves once connected, however long that takes.
   * @throws AbortError when `signal` comes first */
  ready(signal?: AbortSignal): Promise<void> {
    return this.session.ready(signal)
  }

  /** Ends the session. If it is connected, the server removes its ephemeral nodes at once, otherwise after its timeout. */
  close(): Promise<void> {
    return this.session.close()
  }

  /** @throws ZkError `NO_NODE` */
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

  /** Null when there is no such node; the watch then waits for its creation. */
  exists(path: string, watch?: Watch): Promise<NodeStat | null> {
    return this.#call('exists', path, (client, done) => {
      const reply = answer(done, (stat: Stat | null) => (stat ? nodeStatOf(stat) : null))
      if (watch) client.exists(this.#full(path), this.#libraryWatch(watch), reply)
      else client.exists(this.#full(path), reply)
    })
  }

  /** Names, not paths. The watch is called when a child comes or goes and when the node itself is removed, not for its
   * data. @throws ZkError `NO_NODE` */
  getChildren(path: string, watch?: Watch): Promise<{ names: string[]; stat: NodeStat }> {
    return this.#call('getChildren', path, (client, done) => {
      const reply = answer(done, (names: string[], stat: Stat) => ({ names, stat: nodeStatOf(stat) }))
      if (watch) client.getChildren(this.#full(path), this.#libraryWatch(watch), reply)
      else client.getChildren(this.#full(path), reply)
    })
  }

  /** @throws ZkError `NO_NODE`, or `BAD_VERSION` when the node's version is not `version` */
  setData(path: string, data: Buffer, version = ANY_VERSION): Promise<NodeStat> {
    return this.#call('setData', path, (client, done) => {
      refuseBig(data.length)
      client.setData(this.#full(path), data, version, answer(done, nodeStatOf))
    })
  }

  /** @throws ZkError `NODE_EXISTS`, or `NO_NODE` when the parent is missing */
  create(path: string, data: Buffer, { ephemeral = false } = {}): Promise<void> {
    return this.#call('create', path, (client, done) => {
      refuseBig(data.length)
      client.create(this.#full(path), data, this.#acl, createMode(ephemeral), answer(done, nothing))
    })
  }

  /** @throws ZkError `NO_NODE`, or `BAD_VERSION` when the node's version is not `version` */
  remove(path: string, version = ANY_VERSION): Promise<void> {
    return this.#call('remove', path, (client, done) => {
      client.remove(this.#full(path), version, answer(done, nothing))
    })
  }

  /** The node's ACL. @throws ZkError `NO_NODE` */
  getAcl(path: string): Promise<Grant[]> {
    return this.#call('getACL', path, (client, done) => {
      client.getACL(this.#full(path), answer(done, grantsOf))
    })
  }

  /** Gives the node the ACL that `create` would give it now. @throws ZkError `NO_NODE` */
  setAcl(path: string): Promise<void> {
    return this.#call('setACL', path, (client, done) => {
      client.setACL(this.#full(path), this.#acl, answer(done, nothing))
    })
  }

  /** Brings our server up to date with its leader: a later read sees every write that was acknowledged to anyone before
   * this call. */
  sync(path: string): Promise<void> {
    return this.#call('sync', path, (client, done) => sync(client, this.#full(path), answer(done, nothing)))
  }

  /** Does all of `ops`, or none of them.
   * Defect: the library sends version 0 as "any version", so a compare-and-set on a node never written since its creation
   * always passes. Repair: the version is set on the step that the library has built.
   * @throws ZkError with the code of the first step that failed */
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
        if (op.op !== 'create') built.at(-1)!.version = op.version ?? ANY_VERSION
      }
      transaction.commit(answer(done, nothing))
    })
  }

  /** Makes the node at `path`, empty, if it is missing, and its missing parents, the chroot included. */
  async ensure(path: string): Promise<void> {
    await this.#ensureFull(this.#full(path))
  }

  async #ensureFull(full: string): Promise<void> {
    try {
      await this.#makeFull(full)
    } catch (error) {
      if (!isZkError(error, 'NO_NODE')) throw error
      await this.#ensureFull(parentOf(full))
      await this.#makeFull(full)
    }
  }

  /** Sets the node's data, and makes the node with it where it is missing: nobody ever reads it empty. @throws ZkError */
  async put(path: string, data: Buffer): Promise<void> {
    await this.ensure(parentOf(path))
    try {
      await this.create(path, data)
    } catch (error) {
      if (!isZkError(error, 'NODE_EXISTS')) throw error
      await this.setData(path, data)
    }
  }

  async #makeFull(full: string): Promise<void> {
    try {
      await this.#call('create', full, (client, done) => client.create(full, Buffer.alloc(0), this.#acl, answer(done, nothing)))
    } catch (error) {
      if (!isZkError(error, 'NODE_EXISTS')) throw error
    }
  }

  #full(path: string): string {
    if (!path.startsWith('/')) throw new TypeError('a path begins with /')
    return path === '/' ? this.#chroot || '/' : this.#chroot + path
  }

  /** Always the same function of the library's for the same `watch`. It calls `watch` outside the socket's handler, where
   * an error thrown by `watch` would pass for an unreadable answer. */
  #libraryWatch(watch: Watch): (event: Event) => void {
    let library = this.#watches.get(watch)
    if (!library) {
      library = event => {
        const path = event.getPath().slice(this.#chroot.length) || '/'
        queueMicrotask(() => watch(path))
      }
      this.#watches.set(watch, library)
    }
    return library
  }

  #call<T>(op: string, path: string, run: (client: Client, done: Done<T>) => void): Promise<T> {
    return call({ session: this.session, op, path, timeoutMs: this.#callTimeoutMs }, run)
  }
}

const nothing = (): void => {}

function createMode(ephemeral: boolean): number {
  return ephemeral ? zookeeper.CreateMode.EPHEMERAL : zookeeper.CreateMode.PERSISTENT
}

/** A server hangs up on a request that is longer, which fails every other call under way too.
 * @throws RangeError over MAX_ZNODE_BYTES */
function refuseBig(bytes: number): void {
  if (bytes > MAX_ZNODE_BYTES) throw new RangeError(`${bytes} bytes of data, at most ${MAX_ZNODE_BYTES}`)
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}
