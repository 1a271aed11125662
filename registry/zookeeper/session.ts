import zookeeper, { type Client, type State } from 'node-zookeeper-client'
import { BackOff } from './back-off.js'
import { parseServers } from './connect-string.js'
import type { Credentials } from './credentials.js'
import { abandon, harden } from './harden.js'
import { connectionManagerOf } from './internals.js'
import type { Loss } from './loss.js'
import { ZkError } from './zk-error.js'

/** What happens to a session. */
export interface SessionListener {
  /** A new session is open: no ephemeral node and no watch of the previous one is left. `onConnected` follows at once. */
  readonly onSession?: () => void
  /** The session is connected, for the first time or again. If it survived, its watches have been set again. */
  readonly onConnected?: () => void
  /** The connection is lost. Calls fail until `onConnected`; the session may live on. */
  readonly onSuspended?: (loss: Loss | undefined) => void
  /** The session has expired or was given up. A new one is being opened. */
  readonly onLost?: () => void
  /** An answer could not be read, or the server refused our credentials. The session goes on, or a new one follows. */
  readonly onWarning?: (error: Error) => void
}

export interface SessionOptions {
  /** `host:port[,host:port…]`, without a chroot. */
  readonly servers: string
  /** How long the session, and our ephemeral nodes, outlive a lost connection, ms. The server may grant another value. */
  readonly timeoutMs: number
  /** Sent at the start of every connection; may be empty. */
  readonly auth: Credentials
  /** The first listener; {@link Session.listen} adds others. */
  readonly listener: SessionListener
}

/** `opening`: no server has granted the session yet. `suspended`: the connection is lost, and the library tries to connect
 * again. `closed`: for good. */
type Life = 'opening' | 'connected' | 'suspended' | 'closed'

/** A session that stays disconnected for this many of its timeouts is given up. After its data was wiped, a server closes
 * every connection of a client that has seen a later transaction, and never says that the session has expired. */
const GIVE_UP_AFTER_TIMEOUTS = 4

/** The longest pause between two attempts to connect is this part of the session timeout: a pause alone costs no session. */
const PAUSE_SHARE = 3 / 5

/** Our session with ZooKeeper. It is opened at construction and survives lost connections; when the session itself is lost,
 * a new one is opened, until `close`. */
export class Session {
  readonly #options: SessionOptions
  readonly #listeners = new Set<SessionListener>()
  /** Of all sessions: one that is granted and lost again at once is no better than a connection that is. */
  readonly #backOff: BackOff
  #loss: Loss | undefined
  #client: Client
  #life: Life = 'opening'
  #epoch = 0
  /** Runs while the session is opening or suspended. */
  #giveUpTimer: NodeJS.Timeout | undefined

  constructor(options: SessionOptions) {
    this.#options = options
    const { servers, timeoutMs, listener } = options
    this.#listeners.add(listener)
    this.#backOff = new BackOff({ servers: parseServers(servers).length, maxMs: PAUSE_SHARE * timeoutMs, random: Math.random })
    this.#client = this.#newClient()
    this.#open()
  }

  get connected(): boolean {
    return this.#life === 'connected'
  }

  /** Why the last connection ended or could not be opened; undefined once there is one that has lasted for some seconds. */
  get trouble(): Loss | undefined {
    return this.#backOff.settled ? undefined : this.#loss
  }

  /** The `ephemeralOwner` of our nodes; 0 before the first session is open. */
  get id(): bigint {
    return this.#client.getSessionId().readBigInt64BE(0)
  }

  /** Number of sessions opened so far. An answer or a watch from another epoch is stale. */
  get epoch(): number {
    return this.#epoch
  }

  /** The library's client of the present session: {@link Zk} makes its calls through it, and tests break it. */
  get client(): Client {
    return this.#client
  }

  /** Calls the listener from now on, after those that were added before it. @returns stops that */
  listen(listener: SessionListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Resolves once connected, however long that takes.
   * @throws AbortError when `signal` comes first */
  async ready(signal?: AbortSignal): Promise<void> {
    while (!this.connected) await this.#nextConnection(signal)
  }

  /** Ends the session. If it is connected, the server removes its ephemeral nodes at once, otherwise after its timeout. */
  async close(): Promise<void> {
    if (this.#life === 'closed') return
    this.#enter('closed')
    await abandon(this.#client)
  }

  #nextConnection(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onConnected = () => {
        stop()
        resolve()
      }
      const onAbort = () => {
        stop()
        reject(new DOMException('ZooKeeper was not connected in time', 'AbortError'))
      }
      const stopListening = this.listen({ onConnected })
      const stop = () => {
        stopListening()
        signal?.removeEventListener('abort', onAbort)
      }
      if (signal?.aborted) onAbort()
      else signal?.addEventListener('abort', onAbort)
    })
  }

  #open(): void {
    this.#enter('opening')
    this.#client.connect()
  }

  /** Each session has a client of its own: the library's client is of no use once its session is lost.
   * @param zxid the newest transaction seen so far, so that no server that is behind it is read from */
  #newClient(zxid?: Buffer): Client {
    const { servers, timeoutMs, auth } = this.#options
    const client = zookeeper.createClient(servers, {
      sessionTimeout: timeoutMs,
      // With retries, the library would resend a write whose outcome is unknown.
      retries: 0,
    })
    harden(client, {
      servers: parseServers(servers),
      backOff: this.#backOff,
      onLoss: loss => {
        if (this.#isPresent(client)) this.#loss = loss
      },
      onProtocolError: error => this.#tell(listener => listener.onWarning?.(error)),
    })
    if (zxid) connectionManagerOf(client).zxid = zxid
    // The library sends these first on every connection: the server answers NO_AUTH to what comes before them.
    for (const each of auth) client.addAuthInfo('digest', Buffer.from(each))
    client.on('state', state => this.#onState(client, state))
    return client
  }

  #onState(client: Client, state: State): void {
    if (!this.#isPresent(client)) return
    switch (state) {
      case zookeeper.State.SYNC_CONNECTED:
        return this.#onConnected()
      case zookeeper.State.DISCONNECTED:
        this.#disconnect()
        return this.#tell(listener => listener.onSuspended?.(this.#loss))
      case zookeeper.State.EXPIRED:
        // Not at once: the library has not finished with this client.
        return queueMicrotask(() => this.#giveUp(client, connectionManagerOf(client).zxid))
      case zookeeper.State.AUTH_FAILED:
        // The server hangs up next.
        this.#disconnect()
        return this.#tell(listener => listener.onWarning?.(new ZkError('AUTH_FAILED', 'authenticate', '/', true)))
    }
  }

  #onConnected(): void {
    const isNew = this.#life === 'opening'
    this.#enter('connected')
    if (isNew) {
      this.#epoch++
      this.#tell(listener => listener.onSession?.())
    }
    this.#tell(listener => listener.onConnected?.())
  }

  #disconnect(): void {
    this.#enter(this.#life === 'opening' ? 'opening' : 'suspended')
  }

  #enter(life: Life): void {
    this.#life = life
    clearTimeout(this.#giveUpTimer)
    if (life !== 'opening' && life !== 'suspended') return
    const client = this.#client
    this.#giveUpTimer = setTimeout(() => this.#giveUp(client), GIVE_UP_AFTER_TIMEOUTS * client.getSessionTimeout()).unref()
  }

  #giveUp(client: Client, zxid?: Buffer): void {
    if (!this.#isPresent(client)) return
    void abandon(client)
    if (this.#life !== 'opening') this.#tell(listener => listener.onLost?.())
    // A listener may have closed us.
    if (!this.#isPresent(client)) return
    this.#client = this.#newClient(zxid)
    this.#open()
  }

  /** False for the client of a former session, and once we are closed. */
  #isPresent(client: Client): boolean {
    return this.#client === client && this.#life !== 'closed'
  }

  #tell(call: (listener: SessionListener) => void): void {
    for (const listener of [...this.#listeners]) call(listener)
  }
}
