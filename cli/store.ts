import { z } from 'zod'
import { isCassandra } from '../dispatcher/store/cassandra/address.js'
import { DISPATCHERS, parseDispatcher, parseStore, STORE, type DispatcherNode, type ExpectedStore } from '../protocol/nodes.js'
import type { StoreAction } from '../protocol/store.js'
import type { Caller } from '../runtime/peers/client.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import type { View } from '../registry/view.js'
import type { Zk } from '../registry/zookeeper/client.js'
import { Problem } from './output.js'
import { readNode } from './read-node.js'
import { number, table } from './table.js'

const TIMEOUT_MS = 2_000
/** An order writes to the disk and to ZooKeeper, each some ten times. */
const ORDER_MS = 30_000

const file = z.object({ id: z.string(), generation: z.string(), stored: z.number() })
/** A dispatcher's answer; later ones may say more. */
export const storeReport = z.object({
  path: z.string(),
  /** What is at the path; null where there is no file, or it cannot be read. */
  found: file.nullable(),
  /** Why it is not the cluster's store; null where it is. */
  refused: z.string().nullable(),
  /** Why nothing can be stored at present; null where something can. */
  cannotStore: z.string().nullable(),
})
const failure = z.object({ error: z.object({ message: z.string() }) })

/** A dispatcher's store in the output of `store --json`. */
export interface StoreRow extends Partial<z.infer<typeof storeReport>> {
  readonly id: string
  /** Why it said nothing of its store. */
  readonly silent?: string
}

/** The output of `store --json`. */
export interface Stores {
  /** Null where none is expected yet. */
  readonly expected: ExpectedStore | null
  readonly dispatchers: readonly StoreRow[]
}

/** Which store is expected, and what each dispatcher has. @throws Problem when what is expected cannot be read */
export async function stores(zk: Zk, view: View, client: Caller): Promise<Stores> {
  const nodes = [...view.allDispatchers()].sort((a, b) => (a.id < b.id ? -1 : 1))
  return { expected: (await readNode(zk, STORE, parseStore)) ?? null, dispatchers: await Promise.all(nodes.map(node => row(client, node))) }
}

/** Makes what is at the dispatcher's path the cluster's store.
 * @throws Problem if there is no such dispatcher, it will not, or it has not said in time */
export async function adoptStore(zk: Zk, client: Caller, id: string, adopt: StoreAction): Promise<StoreRow> {
  const node = await readNode(zk, `${DISPATCHERS}/${id}`, parseDispatcher)
  if (!node) throw new Problem('NOT_FOUND', `there is no dispatcher ${id}; the command dispatchers lists all of them`)
  try {
    const answer = await client.call(node.internalUrl, {
      to: node.instance,
      path: '/internal/store',
      body: JSON.stringify({ adopt }),
      headers: { 'content-type': 'application/json' },
      timeoutMs: ORDER_MS,
    })
    return { id, ...storeReport.parse(JSON.parse(answer.toString())) }
  } catch (error) {
    if (!(error instanceof PeerError)) throw error
    if (error.sent && error.failure !== 'status') throw new Problem('OUTCOME_UNKNOWN', `${id} has not said whether it did it: the command store shows what became of it (${error.message})`, { cause: error })
    throw new Problem('DISPATCHER_REFUSES', `${id} did not do it: ${saidBy(error)}`, { cause: error })
  }
}

export function storesText({ expected, dispatchers }: Stores, colour: boolean): string {
  const columns = [{ head: 'DISPATCHER' }, { head: 'STORE' }, { head: 'COMMENTS', align: 'right' as const }, { head: 'STATE' }, { head: 'FILE' }]
  const rows = dispatchers.map(row => [row.id, row.found?.id ?? '-', countOf(row), stateOf(row), row.path ?? '-'])
  const reasons = dispatchers.flatMap(row => {
    const reason = row.silent ?? row.refused ?? row.cannotStore
    return typeof reason === 'string' ? [`${row.id}: ${reason}\n`] : []
  })
  const list = rows.length === 0 ? 'No dispatcher is announced.\n' : `${table(columns, rows, colour)}\n`
  return `${list}${expected ? `expected: store ${expected.id}, generation ${expected.generation}` : 'no store is expected yet: the first that a dispatcher brings will be'}\n${reasons.join('')}`
}

/** A Cassandra does not count its comments. */
function countOf({ found, path }: StoreRow): string {
  return !found || (path && isCassandra(path)) ? '-' : number(found.stored)
}

function stateOf({ silent, refused, cannotStore }: StoreRow): string {
  if (silent !== undefined) return 'unknown'
  if (refused !== null) return 'refused'
  return cannotStore === null ? 'in use' : 'cannot store'
}

async function row(client: Caller, { id, internalUrl, instance }: DispatcherNode): Promise<StoreRow> {
  try {
    const answer = await client.call(internalUrl, { method: 'GET', to: instance, path: '/internal/store?check=no', timeoutMs: TIMEOUT_MS })
    return { id, ...storeReport.parse(JSON.parse(answer.toString())) }
  } catch (error) {
    if (error instanceof PeerError) return { id, silent: error.status === 404 ? 'it runs an older version, which does not say' : saidBy(error) }
    if (error instanceof SyntaxError || error instanceof z.ZodError) return { id, silent: 'its answer cannot be read' }
    throw error
  }
}

function saidBy({ body, message }: PeerError): string {
  const said = failure.safeParse(body && parsed(body))
  return said.success ? said.data.error.message : message
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

