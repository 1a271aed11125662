import { once } from 'node:events'
import type { VideoId } from '../protocol/comment.js'
import type { Change } from '../registry/view.js'
import type { RegistryWatcher } from '../registry/watcher.js'
import type { Zk } from '../registry/zookeeper/client.js'
import { clockTime, type Paint } from './output.js'
import { counted, number } from './table.js'

/** A line of `watch --json`, without its time `at` (Unix ms). */
export type News =
  | { readonly event: 'joined' | 'restarted'; readonly kind: Member['kind']; readonly id: string; readonly instance: string; readonly url: string }
  | { readonly event: 'left' | 'draining' | 'up'; readonly kind: Member['kind']; readonly id: string }
  | { readonly event: 'holdings'; readonly id: string; readonly videoId: VideoId; readonly viewers: number; readonly before: number }
  | { readonly event: 'zookeeper'; readonly connected: boolean }

type Member = Extract<Change, { kind: 'edge' | 'dispatcher' | 'gateway' }>

/** Turns changes into news by comparing them with the last known state. A node that vanishes is news at once, although the
 * view keeps it for a while. */
export class Newsroom {
  readonly #nodes = new Map<string, { readonly instance: string; readonly state: 'up' | 'draining' }>()
  readonly #holdings = new Map<string, ReadonlyMap<VideoId, number>>()

  news(change: Change): News[] {
    if (change.kind === 'spread' || change.kind === 'rebalance' || change.kind === 'home') return []
    return change.kind === 'holdings' ? this.#heldBy(change.id, change.holdings?.videos ?? new Map<VideoId, number>()) : this.#member(change)
  }

  #member({ kind, id, node }: Member): News[] {
    const name = `${kind} ${id}`
    const known = this.#nodes.get(name)
    if (!node) return this.#nodes.delete(name) ? [{ event: 'left', kind, id }] : []
    const { instance, internalUrl: url, state } = node
    this.#nodes.set(name, { instance, state })
    if (known?.instance !== instance) return [{ event: known ? 'restarted' : 'joined', kind, id, instance, url }]
    return known.state === state ? [] : [{ event: state, kind, id }]
  }

  #heldBy(id: string, videos: ReadonlyMap<VideoId, number>): News[] {
    const known = this.#holdings.get(id) ?? new Map<VideoId, number>()
    this.#holdings.set(id, videos)
    const news: News[] = []
    for (const [videoId, before] of known) if (!videos.has(videoId)) news.push({ event: 'holdings', id, videoId, viewers: 0, before })
    for (const [videoId, viewers] of videos) {
      const before = known.get(videoId) ?? 0
      if (viewers !== before) news.push({ event: 'holdings', id, videoId, viewers, before })
    }
    return news
  }
}

/** Reports changes from now on, until the signal. ZooKeeper may go and come back meanwhile. */
export async function watch(zk: Zk, registry: RegistryWatcher, tell: (news: News) => void, signal: AbortSignal): Promise<void> {
  const room = new Newsroom()
  const { view } = registry
  for (const node of view.edges()) room.news({ kind: 'edge', id: node.id, node })
  for (const node of view.allDispatchers()) room.news({ kind: 'dispatcher', id: node.id, node })
  for (const node of view.gateways()) room.news({ kind: 'gateway', id: node.id, node })
  for (const { id, instance } of view.edges()) room.news({ kind: 'holdings', id, holdings: { instance, videos: new Map(view.holdingsOf(id)) } })
  registry.onChange(change => {
    for (const each of room.news(change)) tell(each)
  })
  zk.session.listen({
    onSuspended: () => tell({ event: 'zookeeper', connected: false }),
    onConnected: () => tell({ event: 'zookeeper', connected: true }),
  })
  if (!signal.aborted) await once(signal, 'abort')
}

export function newsLine(news: News, at: number, paint: Paint): string {
  return `${paint('dim', clockTime(at))}  ${sentence(news, paint)}\n`
}

function sentence(news: News, paint: Paint): string {
  switch (news.event) {
    case 'joined':
      return paint('green', `${news.kind} ${news.id} joined`) + `  ${news.url}`
    case 'restarted':
      return paint('yellow', `${news.kind} ${news.id} is a new process`) + `  ${news.url}`
    case 'left':
      return paint('red', `${news.kind} ${news.id} left`)
    case 'draining':
      return paint('yellow', `${news.kind} ${news.id} drains`)
    case 'up':
      return paint('green', `${news.kind} ${news.id} takes work again`)
    case 'holdings': {
      const { id, videoId, viewers, before } = news
      if (viewers === 0) return `${id} holds ${videoId} no more`
      return before === 0 ? `${id} holds ${videoId}, ${counted(viewers, 'viewer')}` : `${id} holds ${videoId}, ${counted(viewers, 'viewer')} (${number(before)} before)`
    }
    case 'zookeeper':
      return news.connected ? paint('green', 'ZooKeeper is back') : paint('red', 'ZooKeeper is unreachable; changes are reported when it is back')
  }
}
