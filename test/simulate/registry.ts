import type { DispatcherNode, EdgeNode, Holdings } from '../../protocol/nodes.js'
import type { Entry } from '../../registry/entry.js'
import { View, type Change } from '../../registry/view.js'
import type { Process } from './process.js'
import type { World } from './world.js'

type Kind = Change['kind']
type Value = EdgeNode | DispatcherNode | Holdings

interface Znode {
  readonly kind: Kind
  readonly id: string
  value: Value
  session: Session
}

export interface RegistryFaults {
  /** ZooKeeper cannot be reached: nobody sees or announces anything. */
  away: boolean
  /** Most ms that a change takes to reach a watcher. */
  lagMs: number
}

/** Without a sign of its process for this long a session ends. */
const SESSION_MS = 5_000
const TICK_MS = 500

/** What ZooKeeper holds, and who watches it: ephemeral nodes only, as the parts announce them. */
export class Registry {
  readonly faults: RegistryFaults = { away: false, lagMs: 20 }
  readonly #world: World
  readonly #znodes = new Map<string, Znode>()
  readonly #sessions = new Set<Session>()

  constructor(world: World) {
    this.#world = world
  }

  open(process: Process, watch: readonly Kind[], onChange: (change: Change) => void): Session {
    const session = new Session(this, this.#world, process, watch, onChange)
    this.#sessions.add(session)
    process.onDeath(() => this.expireUnlessHeard(session))
    return session
  }

  /** ZooKeeper was frozen or away for long: every session ends at once. */
  expireAll(): void {
    this.#world.tell?.('! every session expires')
    for (const session of [...this.#sessions]) this.expire(session)
  }

  /** Its znodes go; a process that lives makes itself a new session. */
  expire(session: Session): void {
    this.#world.tell?.(`! session of ${session.process.name} expires`)
    for (const [key, znode] of this.#znodes) if (znode.session === session) this.#remove(key)
    if (session.process.state === 'dead' || session.closed) this.#sessions.delete(session)
    session.expired()
  }

  /** To be called when its process has frozen or died. */
  expireUnlessHeard(session: Session): void {
    this.#world.after(SESSION_MS * this.#world.random.between(0.8, 1.2), () => {
      if (session.process.state === 'up' || session.closed || !this.#sessions.has(session)) return
      if (this.faults.away) this.expireUnlessHeard(session)
      else this.expire(session)
    })
  }

  set(session: Session, kind: Kind, id: string, value: Value): void {
    const key = `${kind} ${id}`
    this.#znodes.set(key, { kind, id, value, session })
    this.#changed(key)
  }

  leave(session: Session): void {
    for (const [key, znode] of this.#znodes) if (znode.session === session) this.#remove(key)
    this.#sessions.delete(session)
  }

  get(key: string): Value | undefined {
    return this.#znodes.get(key)?.value
  }

  keys(): Iterable<string> {
    return this.#znodes.keys()
  }

  #remove(key: string): void {
    this.#znodes.delete(key)
    this.#changed(key)
  }

  #changed(key: string): void {
    for (const session of this.#sessions) session.dirty(key)
  }
}

/** One process's session and its watched cache: what registry/announcer.ts and registry/watcher.ts do, with the
 * real View and its lingering. */
export class Session {
  readonly view = new View()
  readonly process: Process
  loaded = false
  closed = false
  /** Most ms that a change takes to get here, where this watcher is worse off than others. */
  lagMs = 0
  readonly #registry: Registry
  readonly #world: World
  readonly #watch: ReadonlySet<Kind>
  readonly #onChange: (change: Change) => void
  readonly #mine = new Map<string, { kind: Kind; id: string; value: Value }>()
  /** Keys to read again. */
  readonly #dirty = new Set<string>()
  /** What this watcher believes exists. */
  readonly #known = new Set<string>()
  readonly #unwritten = new Set<string>()
  #alive = true
  #lingerMs = 0

  constructor(registry: Registry, world: World, process: Process, watch: readonly Kind[], onChange: (change: Change) => void) {
    this.#registry = registry
    this.#world = world
    this.process = process
    this.#watch = new Set(watch)
    this.#onChange = onChange
    this.#load()
    process.clock.after(TICK_MS, this.#tick)
  }

  /** Announces something of this process, now and in every later session. */
  entry<T extends Value>(kind: Kind, id: string, value: T): Entry<T> {
    const key = `${kind} ${id}`
    const set = (value: T) => {
      this.#mine.set(key, { kind, id, value })
      this.#write(key)
      return JSON.stringify(value).length
    }
    set(value)
    const standing = () => this.#alive && this.#registry.get(key) !== undefined
    return {
      get up() {
        return standing()
      },
      set,
      close: () => Promise.resolve(this.close()),
    }
  }

  /** Connected, and nothing is known that was not read since. */
  get isCurrent(): boolean {
    return this.#alive && !this.#registry.faults.away
  }

  /** Leaves the registry. */
  close(): void {
    this.closed = true
    this.#registry.leave(this)
  }

  expired(): void {
    if (this.closed) return
    this.#alive = false
    this.process.run(() => this.process.clock.after(this.#world.random.between(100, 1_000), () => this.#reopen()))
  }

  /** Something at `key` has changed: it is read again a little later. */
  dirty(key: string): void {
    if (!this.#watch.has(key.split(' ')[0] as Kind) || this.#dirty.has(key)) return
    this.#dirty.add(key)
    this.#readLater(key)
  }

  #reopen(): void {
    if (this.closed) return
    if (this.#registry.faults.away) return void this.process.clock.after(200, () => this.#reopen())
    this.#alive = true
    for (const key of this.#mine.keys()) this.#write(key)
    this.#load()
  }

  /** Reads everything: what it knew and is gone, too. */
  #load(): void {
    if (this.#registry.faults.away) return void this.process.clock.after(200, () => this.#load())
    for (const key of new Set([...this.#known, ...this.#registry.keys()])) this.dirty(key)
    this.process.clock.after(60, () => (this.loaded = true))
  }

  #write(key: string): void {
    if (this.#unwritten.has(key)) return
    this.#unwritten.add(key)
    this.process.clock.after(this.#world.random.between(1, 15), () => {
      if (this.closed) return
      this.#unwritten.delete(key)
      if (!this.#alive) return // written again when there is a session
      if (this.#registry.faults.away) return this.#write(key)
      const { kind, id, value } = this.#mine.get(key)!
      this.#registry.set(this, kind, id, value)
    })
  }

  #readLater(key: string): void {
    const lagMs = this.#world.random.between(1, Math.max(this.#registry.faults.lagMs, this.lagMs))
    this.process.clock.after(lagMs, () => {
      if (this.closed) return
      if (this.#registry.faults.away || !this.#alive) return this.#readLater(key)
      this.#dirty.delete(key)
      const value = this.#registry.get(key)
      if (value) this.#known.add(key)
      else if (!this.#known.delete(key)) return
      const [kind, id] = key.split(' ') as [Kind, string]
      const change = (kind === 'holdings' ? { kind, id, holdings: value } : { kind, id, node: value }) as Change
      this.view.apply(change, this.#lingerMs)
      this.#onChange(change)
    })
  }

  /** Lingering is counted while the registry can be read, as registry/watcher.ts does. */
  readonly #tick = (): void => {
    if (this.closed) return
    this.process.clock.after(TICK_MS, this.#tick)
    if (this.#registry.faults.away || !this.#alive) return
    this.#lingerMs += TICK_MS
    for (const change of this.view.expire(this.#lingerMs)) this.#onChange(change)
  }
}
