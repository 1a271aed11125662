import { setTimeout as sleep } from 'node:timers/promises'
import { parseCassandraUrl } from '../../dispatcher/store/cassandra/address.js'
import { CallError } from '../../dispatcher/store/cassandra/call-error.js'
import { Cluster } from '../../dispatcher/store/cassandra/cluster.js'
import { initStore } from '../../dispatcher/store/cassandra/init.js'
import { DATA_CENTRE, HOST } from './local-node.js'

export const ROLE = 'live_comments'
export const KEYSPACE = 'live_comments'
/** The user that a new Cassandra has, with the same word as its password. */
const FIRST_ROLE = 'cassandra'
/** A new node makes its first user a moment after it answers. */
const FIRST_ROLE_MS = 20_000
const RETRY_MS = 600
/** As long a node remembers what a role may do, and then some. */
const FORGOTTEN_MS = 2_500
const CALL_MS = 10_000
const REFUSED = /the user or the password is refused/

/** Closes a node to everybody but our role, and makes the store in it; what has been done before stays as it is.
 * @param password without quotes
 * @throws Error with what is wrong, for people */
export async function secureNode(port: number, password: string, signal: AbortSignal): Promise<void> {
  await makeRole(port, password, signal)
  const ours = clusterAs(port, ROLE, password)
  try {
    // Whoever was logged in as another meanwhile could have made one more, until all is forgotten that it might.
    while (await dropOthers(ours)) await sleep(FORGOTTEN_MS, undefined, { signal })
    await initStore({ cql: ours, keyspace: KEYSPACE, dataCentre: DATA_CENTRE, replication: new Map([[DATA_CENTRE, 1]]) })
  } finally {
    await ours.close()
  }
}

/** The node's store, as STORE_URL names it. */
export function urlOf(port: number): string {
  return addressOf(port, ROLE)
}

async function makeRole(port: number, password: string, signal: AbortSignal): Promise<void> {
  for (const until = performance.now() + FIRST_ROLE_MS; ; await sleep(RETRY_MS, undefined, { signal })) {
    if (await isKnown(port, ROLE, password)) return
    const first = clusterAs(port, FIRST_ROLE, FIRST_ROLE)
    try {
      await first.define(`CREATE ROLE IF NOT EXISTS ${ROLE} WITH SUPERUSER = true AND LOGIN = true AND PASSWORD = '${password}'`)
    } catch (error) {
      if (!(error instanceof CallError)) throw error
      if (performance.now() > until) throw new Error(`Cassandra does not take the password in the data folder: its data is of another one, or damaged (${error.message})`, { cause: error })
    } finally {
      await first.close()
    }
  }
}

async function isKnown(port: number, role: string, password: string): Promise<boolean> {
  const cluster = clusterAs(port, role, password)
  try {
    await cluster.read({ cql: 'SELECT role FROM system_auth.roles', params: [] }, CALL_MS)
    return true
  } catch (error) {
    if (error instanceof CallError && REFUSED.test(error.message)) return false
    throw error
  } finally {
    await cluster.close()
  }
}

/** @returns whether there were others */
async function dropOthers(ours: Cluster): Promise<boolean> {
  const rows = await ours.read({ cql: 'SELECT role FROM system_auth.roles', params: [] }, CALL_MS)
  const others = rows.map(({ role }) => String(role)).filter(role => role !== ROLE)
  for (const role of others) await ours.define(`DROP ROLE IF EXISTS "${role.replaceAll('"', '""')}"`)
  return others.length > 0
}

function clusterAs(port: number, role: string, password: string): Cluster {
  return new Cluster({ address: parseCassandraUrl(addressOf(port, role)), password })
}

function addressOf(port: number, role: string): string {
  return `cassandra://${role}@${HOST}:${port}/${KEYSPACE}?dc=${DATA_CENTRE}`
}
