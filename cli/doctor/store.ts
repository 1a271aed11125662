import { z } from 'zod'
import { isCassandra } from '../../dispatcher/store/cassandra/address.js'
import type { InternalClient } from '../../runtime/peers/client.js'
import { PeerError } from '../../runtime/peers/peer-error.js'
import { storeReport } from '../store.js'
import { problem, type Finding } from './finding.js'

/** A dispatcher checks its file for up to 2 s. */
const TIMEOUT_MS = 4_000

/** `check` is `ok`, the first damage found, or `unfinished`; null if it was not checked. */
const report = storeReport.extend({ check: z.string().nullable() })

/** A dispatcher's answer about its store. */
export interface StoreReport extends z.infer<typeof report> {
  readonly id: string
}

const FILE_ADVICE = 'Make room, or free the file of whoever holds its lock: store_unavailable in its log has the reason. It recovers by itself.'
const CASSANDRA_ADVICE = 'What to do about each reason is in docs/operators.md under A store in Cassandra. It recovers by itself.'

/** Undefined if it does not say: older software has no such route, and a node that does not answer is a finding of its own. */
export async function askStore(client: InternalClient, { id, internalUrl }: { readonly id: string; readonly internalUrl: string }): Promise<StoreReport | undefined> {
  try {
    const answer = await client.call(internalUrl, { method: 'GET', path: '/internal/store', timeoutMs: TIMEOUT_MS })
    return { ...report.parse(JSON.parse(answer.toString())), id }
  } catch (error) {
    if (error instanceof PeerError || error instanceof SyntaxError || error instanceof z.ZodError) return undefined
    throw error
  }
}

/** Judges each dispatcher's store, and whether those in use are the same one. */
export function* judgeStores(reports: readonly StoreReport[]): Generator<Finding> {
  for (const { id, path, refused, cannotStore, check } of reports) {
    if (refused !== null) yield problem('store_refused', id, `does not take ${path} for the cluster's store: ${refused}`, `It stores nothing, so that no comment goes into the wrong file. Give it the file that the other dispatchers have (STORE_URL). If this one is right, say so: store accept ${id}; if it is a backup: store restore ${id}`)
    else if (cannotStore !== null) yield problem('store_unavailable', id, `cannot store into ${path}: ${cannotStore}`, isCassandra(path) ? CASSANDRA_ADVICE : FILE_ADVICE)
    if (check !== null && check !== 'ok' && check !== 'unfinished') yield problem('store_damaged', id, `${path} is damaged: ${check}`, 'Stop the dispatchers, keep the file, and restore the last copy, or have sqlite3 recover what it holds.')
  }
  const used = reports.filter(({ found, refused }) => found && refused === null)
  const stores = new Map(used.map(({ id, found }) => [found!.id, id] as const).reverse())
  if (stores.size < 2) return
  const named = [...stores].map(([store, id]) => `${id} has ${store}`).sort().join(', ')
  yield { ...problem('stores_differ', '', `have different stores: ${named}`, `What is posted to one is missing at the other. Give all dispatchers the same ${used.every(({ path }) => isCassandra(path)) ? 'STORE_URL' : 'file in STORE_URL, on one machine'}.`), subjects: used.map(({ id }) => id).sort() }
}
