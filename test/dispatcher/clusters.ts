import type { Test } from 'tap'
import { parseActRequest, printActResult } from '../../protocol/acts.js'
import { printState } from '../../protocol/entry.js'
import { LiveError } from '../../protocol/errors.js'
import { parsePosts, printResults } from '../../protocol/posts.js'
import { parseBatch, parsePeerSync, parseReplay, printAnswers, type RoomAnswer, type SyncRequest } from '../../protocol/wire.js'
import { Homes } from '../../registry/homes.js'
import { json } from '../../runtime/http/reply.js'
import type { Call, Caller } from '../../runtime/peers/client.js'
import { PeerError, type PeerFailure } from '../../runtime/peers/peer-error.js'
import { edgeNode, Scene } from './cast.js'

/** The line between the two clusters. */
export class Line {
  /** What every call fails with. */
  failure: PeerFailure | undefined
  /** The answers get lost: what was asked is done all the same. */
  isDeaf = false
  /** Of the calls so far, in either direction. */
  readonly routes: string[] = []
  /** What the last call of each route asked. */
  readonly bodies = new Map<string, Buffer>()

  /** How many calls of that route there were. */
  count(route: string): number {
    return this.routes.filter(each => each === route).length
  }

  /** @param handlers what the other cluster's gateway does, by route */
  caller(handlers: Readonly<Record<string, (body: Buffer, rest: string[], query: URLSearchParams) => Promise<string>>>): Caller {
    return {
      call: async (_, { path, body = '' }: Call) => {
        const { pathname, searchParams } = new URL(path, 'http://peer')
        const [route = '', ...rest] = pathname.slice('/internal/peer/'.length).split('/')
        this.routes.push(route)
        this.bodies.set(route, Buffer.from(body))
        if (this.failure) throw new PeerError(this.failure, this.failure)
        const answer = await handlers[route]!(Buffer.from(body), rest, searchParams).catch((error: unknown) => {
          if (!(error instanceof LiveError)) throw error
          throw new PeerError('status', error.message, { status: error.status, body: Buffer.from(String(json({ error: { code: error.code, message: error.message } }).body)) })
        })
        if (this.isDeaf) throw new PeerError('timeout', 'timeout')
        return Buffer.from(answer)
      },
    }
  }
}

/** Cluster `home`, in which all videos are at home, and cluster `away`, each of one dispatcher. Their gateways are left out. */
export class Clusters {
  readonly line = new Line()
  readonly home: Scene
  readonly away: Scene
  /** The home's answer to a ping. */
  ping = JSON.stringify({ cluster: 'home', clusters: ['away', 'home'], defaultHome: 'home' })
  /** What was said to differ. */
  readonly differing: string[] = []
  /** Videos of which the other cluster's store has entries, with their home. */
  readonly misplaced: string[] = []

  /** @param named homes that operators have named */
  constructor(t: Test, named: ReadonlyMap<string, string> = new Map()) {
    const handlersOfHome: Parameters<Line['caller']>[0] = {
      ping: async () => this.ping,
      posts: async body => printResults(await this.home.byHome.posts(parsePosts(body))),
      acts: async body => printActResult(await this.home.byHome.act(parseActRequest(body))),
      sync: async body => printAnswers(await this.home.byHome.syncOfPeer('away', parsePeerSync(body))),
      replay: async body => printAnswers([await this.home.byHome.replay(parseReplay(body))]),
      state: async (_, [videoId]) => printState(await this.home.byHome.state(videoId!)),
      comments: async (_, [videoId, id]) => JSON.stringify({ authorId: await this.home.byHome.authorOf({ videoId: videoId!, id: Number(id) }) }),
      history: async (_, [videoId], query) => JSON.stringify(await this.home.byHome.history(videoId!, { cursor: query.has('cursor') ? Number(query.get('cursor')) : undefined, direction: query.get('direction') as 'before', pageSize: Number(query.get('pageSize')) })),
    }
    const handlersOfAway: Parameters<Line['caller']>[0] = {
      ping: async () => JSON.stringify({ cluster: 'away', clusters: ['away', 'home'], defaultHome: 'home' }),
      batch: async body => {
        this.away.byHome.pushed('home', parseBatch(body))
        return ''
      },
    }
    const homesOf = (self: string, other: string) => new Homes(self, [{ name: other, urls: [`http://${other}`] }], 'home', named)
    this.home = new Scene(t, {}, {}, undefined, undefined, { homes: homesOf('home', 'away'), client: this.line.caller(handlersOfAway) })
    this.away = new Scene(t, {}, {}, undefined, undefined, { homes: homesOf('away', 'home'), client: this.line.caller(handlersOfHome), onMisplaced: (videoId, name) => this.misplaced.push(`${videoId} ${name}`), onDiffering: (name, theirs) => this.differing.push(`${name} ${theirs}`) })
    for (const scene of [this.home, this.away]) scene.reply = sent => sent.answer()
  }

  /** Lets time pass in both. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) for (const { clock } of [this.home, this.away]) await clock.advance(Math.min(50, left))
  }

  /** Edge `e` of the other cluster syncs one room. */
  async sync(last: number | undefined, want?: number): Promise<RoomAnswer | undefined> {
    const request: SyncRequest = { videoId: 'v', last, want }
    const answers = await this.away.byHome.sync(edgeNode('e'), [request], true)
    return answers[0]
  }

  /** Ids that were pushed to edge `e`. */
  get pushed(): number[] {
    return this.away.batches('e').flatMap(({ comments }) => comments.map(({ id }) => id))
  }
}
