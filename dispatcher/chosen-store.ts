import type { Registry } from 'prom-client'
import type { VideoId } from '../protocol/comment.js'
import type { Cursor } from '../protocol/id.js'
import type { Log } from '../runtime/log.js'
import { sqlitePath, type DispatcherConfig } from './config.js'
import { machineId } from './machine-id.js'
import type { StoreKeeper } from './standing.js'
import { measureStore } from './store-size.js'
import { isCassandra } from './store/cassandra/address.js'
import { closeStoreFiles } from './store/closed-files.js'
import { SqliteStore } from './store/sqlite.js'
import { StoreUnavailableError, type Store } from './store/store.js'

/** What a dispatcher's process has of its store. */
export interface ProcessStore extends Store, StoreKeeper {
  /** @throws StoreUnavailableError while it cannot be used; Error when it never can */
  open(): Promise<void>
  check(limitMs: number): Promise<string | undefined>
}

/** What a process wants to hear of its store. */
export interface StoreNews {
  readonly log: Log
  readonly metrics: Registry
  readonly onWrite: (reason: string | undefined) => void
  readonly onDamage: (videoId: VideoId, reason: string) => void
  readonly onSettled: (videoId: VideoId, lastId: Cursor) => void
}

export interface ChosenStore {
  readonly store: ProcessStore
  /** Where its place means something: this machine for a file, all of them for a keyspace. */
  readonly machine: string
}

/** The store that STORE_URL names, not opened yet. */
export async function chooseStore(config: DispatcherConfig, news: StoreNews): Promise<ChosenStore> {
  return isCassandra(config.STORE_URL) ? cassandraStore(config, news) : sqliteStore(config, news)
}

/** Opens it. A store that cannot be used now, or is not there, does not stop the process: its posts answer 503, and each tries
 * again. @throws Error when it never can be used */
export async function usable(store: ProcessStore): Promise<void> {
  try {
    await store.open()
  } catch (error) {
    if (!(error instanceof StoreUnavailableError)) throw error
  }
}

function sqliteStore({ STORE_URL, HOOK_URL }: DispatcherConfig, { log, metrics, onWrite, onDamage }: StoreNews): ChosenStore {
  const store = new SqliteStore(sqlitePath(STORE_URL), { mustBeAccepted: true, isHooked: HOOK_URL !== undefined, onTrouble: troubleIn(log), onWrite, onDamage })
  closeStore(store.path, log)
  measureStore(metrics, store.path)
  return { store, machine: machineId() }
}

/** Its driver is loaded only where it is used. */
async function cassandraStore(config: DispatcherConfig, { log, onWrite, onSettled }: StoreNews): Promise<ChosenStore> {
  const { openCassandra } = await import('./store/cassandra/open.js')
  const store = openCassandra(config, { mustBeAccepted: true, isHooked: config.HOOK_URL !== undefined, onTrouble: troubleIn(log), onWrite, onSettled })
  return { store, machine: 'cassandra' }
}

function troubleIn(log: Log): (reason: string | undefined) => void {
  return reason => (reason === undefined ? log.info('store_available') : log.error({ reason }, 'store_unavailable'))
}

/** Each opening closes the files to other users. Here they are closed once before, to say it where they were open. */
function closeStore(path: string, log: Log): void {
  try {
    if (closeStoreFiles(path)) log.warn({ path }, 'store_was_open_to_others')
  } catch {
    // What keeps us from it keeps the store from being opened, which says so.
  }
}
