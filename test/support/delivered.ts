import type { Test } from 'tap'
import type { Cluster } from './cluster.js'
import { until } from './until.js'
import type { Viewer } from './viewer.js'

/** Asserts that each viewer has seen every comment stored after its `ready`, in order and once, over one connection. */
export async function sawEverything(t: Test, cluster: Cluster, videoId: string, viewers: readonly Viewer[]): Promise<void> {
  const newest = Math.max(...viewers.map(({ lastEventId }) => Number(lastEventId)))
  // The newest page of history may be a second old (rule 5).
  const stored = (await until(async () => {
    const ids = (await cluster.history(videoId)).map(({ id }) => id)
    return Number(ids.at(-1) ?? 0) >= newest ? ids : undefined
  }, { what: `history reaches ${newest}` }))
  const last = stored.at(-1)
  for (const [number, viewer] of viewers.entries()) {
    await until(() => viewer.lastEventId === last || viewer.isClosed, { what: `viewer ${number} sees ${last}; it is at ${viewer.lastEventId}` })
    const from = viewer.events.find(({ event }) => event === 'ready')!.id
    t.same(viewer.ids, stored.filter(id => Number(id) > Number(from)), `viewer ${number} missed and repeated nothing`)
    t.notOk(viewer.isClosed, `viewer ${number}'s stream is open`)
  }
}
