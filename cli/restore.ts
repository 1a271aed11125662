import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StoreContent, StoreMark } from '../dispatcher/store/copy.js'
import { DISPATCHERS, parseDispatcher, parseStore, STORE, type DispatcherNode, type ExpectedStore } from '../protocol/nodes.js'
import { expectStore } from '../registry/expected-store.js'
import type { Zk } from '../registry/zookeeper/client.js'
import { contentText, orProblem } from './backup.js'
import { Problem } from './output.js'
import { readNode } from './read-node.js'
import type { StorePath } from './store-path.js'

/** A dispatcher looks at its file once a second, and at once when another store is expected. */
const TAKEN_MS = 10_000
const POLL_MS = 100

/** The output of `restore --json`. */
export interface Restored extends StoreContent {
  readonly path: string
  /** Where the file is that was at the path; null where there was none. */
  readonly replaced: string | null
  /** The dispatchers that use it now. */
  readonly dispatchers: readonly string[]
}

/** Runs a task on a new connection to ZooKeeper. */
type WithZookeeper = <T>(task: (zk: Zk) => Promise<T>) => Promise<T>

export interface RestoreOptions {
  /** The backup's path. */
  readonly backup: string
  readonly store: StorePath
  /** Before the backup is copied, and for replacing the store: no session outlives the copying of a large file. */
  readonly before: WithZookeeper
  readonly after: WithZookeeper
}

/** What the backup, the file at the path and the registry say. */
export interface Situation {
  readonly store: StorePath
  readonly backup: StoreMark | undefined
  /** At the path; undefined where there is nothing, or it is damaged. */
  readonly present: StoreMark | undefined
  /** Where the file at the path is, as dispatchers announce it; undefined where there is none. */
  readonly presentFile: string | undefined
  readonly expected: ExpectedStore | undefined
  readonly dispatchers: readonly DispatcherNode[]
}

/** Puts a backup in the store's place, as a new generation, and has the cluster expect it. Dispatchers may run: they refuse
 * the file until it is expected. Comments that they acknowledged since the backup are gone.
 * @throws Problem where that must not be, or the file cannot be replaced */
export async function restore({ backup, store, before, after }: RestoreOptions): Promise<Restored> {
  const [{ markOf, replacementOf }, { asExpected }, { machineId }, { placeOf }] = await Promise.all([
    import('../dispatcher/store/copy.js'),
    import('../dispatcher/store-verdict.js'),
    import('../dispatcher/machine-id.js'),
    import('../dispatcher/store/open-files.js'),
  ])
  const { path } = store
  const situation = async (zk: Zk, backup: StoreMark | undefined): Promise<Situation> => {
    const [expected, dispatchers, place] = [await readNode(zk, STORE, parseStore), await dispatchersIn(zk), placeOf(path)]
    return { store, backup, present: readable(() => markOf(path)), presentFile: place && `${machineId()}:${place}`, expected, dispatchers }
  }
  if (!existsSync(backup)) throw new Problem('NO_BACKUP', `there is no file ${backup}`)
  await before(async zk => checkRestore(await situation(zk, readable(() => markOf(backup)))))
  const replacement = orProblem(`${backup} cannot be restored`, () => replacementOf(backup, path))
  try {
    return await after(async zk => {
      const { content } = replacement
      checkRestore(await situation(zk, content))
      const replaced = orProblem(`${path} cannot be replaced`, () => replacement.put()) ?? null
      await expectStore(zk, asExpected({ ...content, place: placeOf(path)!, acceptedHere: false }, machineId())).catch((cause: unknown) => {
        throw new Problem('NOT_EXPECTED', `${path} is restored, but ZooKeeper could not be told so: restore it again`, { cause })
      })
      return { path, replaced, ...content, dispatchers: await takenBy(zk, content.generation) }
    })
  } finally {
    replacement.discard()
  }
}

export function restoredText({ path, replaced, dispatchers, ...content }: Restored): string {
  const kept = replaced === null ? '' : `What was there is kept: ${replaced}\n`
  const users = dispatchers.length === 0 ? 'No dispatcher runs: the next one that starts uses it.' : `In use by ${dispatchers.join(', ')}.`
  return `${path}: ${contentText(content)}\n${kept}${users}\n`
}

/** @throws Problem where the file at the path, or the backup, is not this cluster's. A backup of another store may be restored
 * where nothing would be lost */
export function checkRestore({ store: { path, source }, backup, present, presentFile, expected, dispatchers }: Situation): void {
  const users = dispatchers.filter(({ store }) => store !== undefined)
  if (users.length > 0 && !users.some(({ store }) => store!.file === presentFile)) {
    throw new Problem('ANOTHER_STORE', `${users.map(({ id }) => id).join(', ')} use another file than ${path} (${source}): name theirs by --store, on their machine`)
  }
  if (!expected) return
  if (present && present.id !== expected.id) throw new Problem('ANOTHER_STORE', `${path} (${source}) is store ${present.id}, and this cluster's is ${expected.id}: name its file by --store`)
  const isEmpty = expected.stored === 0 && (present?.stored ?? 0) === 0
  if (backup && backup.id !== expected.id && !isEmpty) {
    throw new Problem('ANOTHER_STORE', `the backup is of store ${backup.id}, and this cluster's is ${expected.id}. If it is to take its place all the same: stop the dispatchers, put it there as it is, start them, and say: store accept DISPATCHER`)
  }
}

/** Waits until a dispatcher that is announced uses that generation. @throws Problem when none does in time */
async function takenBy(zk: Zk, generation: string): Promise<string[]> {
  const deadline = performance.now() + TAKEN_MS
  for (;;) {
    const dispatchers = await dispatchersIn(zk)
    const users = dispatchers.filter(({ store }) => store?.generation === generation)
    if (users.length > 0 || dispatchers.length === 0) return users.map(({ id }) => id)
    if (performance.now() > deadline) throw new Problem('NOT_TAKEN', `the backup is in its place, but none of ${dispatchers.map(({ id }) => id).join(', ')} uses it after ${TAKEN_MS / 1000} s: the command store says why`)
    await sleep(POLL_MS)
  }
}

/** By id. */
async function dispatchersIn(zk: Zk): Promise<DispatcherNode[]> {
  const ids = (await zk.exists(DISPATCHERS)) ? (await zk.getChildren(DISPATCHERS)).names : []
  const nodes = await Promise.all(ids.sort().map(id => readNode(zk, `${DISPATCHERS}/${id}`, parseDispatcher)))
  return nodes.filter(node => node !== undefined)
}

/** Undefined where there is no file, or it is damaged. */
function readable(read: () => StoreMark): StoreMark | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
