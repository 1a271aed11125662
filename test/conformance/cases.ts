import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { SLOW_MS } from '../../protocol/limits.js'
import { identityOf, Issuer, seconds } from '../support/issuer.js'
import { until } from '../support/until.js'
import { Stage, type Part, type StageOptions } from './stage.js'
import { commentsOf, idsOf, type Asked, type Transport, type Watching } from './watching.js'

/** One thing that every transport has to do, mostly at a gateway as at an edge. */
export interface Case {
  readonly name: string
  /** It takes seconds. */
  readonly isLong?: boolean
  /** Why a transport has no such case. */
  readonly exempt?: Readonly<Record<string, string>>
  /** Why edges have no such case. */
  readonly notAtEdges?: string
  run(t: Test, given: Given): Promise<void>
}

/** What a case is tried on. */
export class Given {
  readonly #t: Test
  readonly #part: Part
  readonly #transport: Transport

  constructor(t: Test, part: Part, transport: Transport) {
    this.#t = t
    this.#part = part
    this.#transport = transport
  }

  get isGateway(): boolean {
    return this.#part === 'gateway'
  }

  get isPoll(): boolean {
    return this.#transport.name === 'long-poll'
  }

  stage(options?: StageOptions): Stage {
    return new Stage(this.#t, this.#part, options)
  }

  watch({ url, videoId }: { readonly url: string; readonly videoId: string }, asked: Asked = {}): Watching {
    const watching = this.#transport.watch(url, videoId, asked)
    this.#t.after(() => watching.close())
    return watching
  }

  /** The same where what follows is live. */
  async watchReady(stage: Stage, asked: Asked = {}): Promise<Watching> {
    const watching = this.watch(stage, asked)
    await watching.ready()
    return watching
  }
}

/** How soon a comment has to be there once it was pushed, ms: before the next heartbeat, which would bring what is held up. */
const AT_ONCE_MS = 10_000
/** Characters of two bytes: eight such comments fill a piece, and some thousand what the kernel takes. */
const LARGE = 4_000

const came = (watching: Watching, ids: readonly string[]) => until(() => idsOf(watching).length >= ids.length, { what: `${ids.length} comments` })

export const cases: readonly Case[] = [
  {
    name: 'a comment comes at once',
    async run(t, given) {
      const stage = given.stage()
      const watching = await given.watchReady(stage)
      const began = performance.now()
      const ids = stage.post()
      await came(watching, ids)
      t.ok(performance.now() - began < AT_ONCE_MS)
      t.same(idsOf(watching), ids)
    },
  },
  {
    name: 'every comment comes once, and in order',
    async run(t, given) {
      const stage = given.stage()
      const watching = await given.watchReady(stage, { after: '0' })
      const ids: string[] = []
      for (let i = 0; i < 20; i++) {
        ids.push(...stage.post(1 + (i % 10)))
        await sleep(3)
      }
      await came(watching, ids)
      t.same(idsOf(watching), ids)
    },
  },
  {
    name: 'the newest few come first, if they are asked for',
    async run(t, given) {
      const stage = given.stage()
      const stored = stage.store(5)
      const watching = given.watch(stage, { recent: 2 })
      await came(watching, stored.slice(-2))
      const ids = [...stored.slice(-2), ...stage.post()]
      await came(watching, ids)
      t.same(idsOf(watching), ids)
    },
  },
  {
    name: 'what follows the replay is told from it (ready)',
    exempt: { 'long-poll': 'an answer says where it ends' },
    async run(t, given) {
      const stage = given.stage()
      const stored = stage.store(2)
      const watching = await given.watchReady(stage, { recent: 5 })
      stage.post()
      await until(() => watching.events.length >= 4)
      t.same(watching.events.slice(0, 4).map(({ event }) => event), ['message', 'message', 'ready', 'message'])
      t.match(watching.events[2], { id: stored[1], data: { videoId: stage.videoId, viewers: 1 } })
    },
  },
  {
    name: 'a cut is resumed without loss',
    async run(t, given) {
      const stage = given.stage()
      const first = await given.watchReady(stage, { after: '0' })
      const ids = stage.post(3)
      await came(first, ids)
      first.close()
      ids.push(...stage.post(200))
      const second = given.watch(stage, { after: first.cursor })
      ids.push(...stage.post(2))
      await came(second, ids.slice(3))
      t.same([...idsOf(first), ...idsOf(second)], ids)
    },
  },
  {
    name: 'what is too much to be sent is named by a gap',
    async run(t, given) {
      const stage = given.stage()
      const stored = stage.store(1_500)
      const watching = given.watch(stage, { after: stored[9] })
      await came(watching, stored.slice(-1_000))
      const to = String(Number(stored[500]) - 1)
      t.match(watching.events[0], { event: 'gap', id: to, data: { from: stored[9], to } })
      t.same(idsOf(watching), stored.slice(-1_000))
    },
  },
  {
    name: 'a cursor of another video begins at the newest comment',
    async run(t, given) {
      const stage = given.stage()
      stage.store(3)
      const watching = given.watch(stage, { after: '123456789012' })
      await until(() => (given.isPoll ? watching.cursor === '30' : watching.events.some(({ event }) => event === 'ready')), { what: 'it has begun' })
      const ids = stage.post(2)
      await came(watching, ids)
      t.same(idsOf(watching), ids)
    },
  },
  {
    name: 'of whoever asks for fewer comments, those that are left out are told in their places',
    notAtEdges: 'gateways alone leave comments out',
    async run(t, given) {
      const stage = given.stage()
      const [first = ''] = stage.store(1)
      const watching = await given.watchReady(stage, { after: first, parameters: { maxRate: '5' } })
      const ids = [...stage.post(40), ...stage.post(40)]
      await until(() => watching.cursor === ids.at(-1) || watching.events.at(-1)?.id === ids.at(-1), { what: 'the newest place' })
      let place = first
      let skipped = 0
      for (const { event, id = '', data } of watching.events.filter(({ event }) => event === 'message' || event === 'skipped')) {
        const { count, from } = event === 'skipped' ? (data as { count: number; from: string }) : { count: 0, from: place }
        const left = ids.filter(each => Number(each) > Number(place) && Number(each) <= Number(id))
        t.same([from, left.length, left.at(-1)], [place, count || 1, id], `${event} ${id}`)
        skipped += count
        place = id
      }
      t.equal(place, ids.at(-1))
      t.equal(skipped + idsOf(watching).length, ids.length)
      t.ok(skipped > 0)
      const next = given.watch(stage, { after: place, parameters: { maxRate: '5' } })
      await came(next, stage.post())
      t.notOk(idsOf(next).some(id => ids.includes(id)), 'what was left out does not come after it')
    },
  },
  {
    name: 'line breaks of Unicode and characters of four bytes come as they are',
    async run(t, given) {
      const stage = given.stage()
      const watching = await given.watchReady(stage, { after: '0' })
      const content = 'a\u2028b\u2029c\u0085d\n\n"e" \u{1f600}\\'
      stage.say(content)
      await until(() => commentsOf(watching).length === 1)
      t.equal(commentsOf(watching)[0]!.content, content)
    },
  },
  {
    name: 'a request that can never succeed is refused, with the code of its error',
    async run(t, given) {
      const stage = given.stage()
      const cases: readonly (readonly [Asked, string, string?])[] = [
        [{ parameters: { recent: '201' } }, 'BAD_RECENT'],
        ...(given.isGateway ? ['', '7', '05', '5,10', 'all'].map(maxRate => [{ parameters: { maxRate } }, 'BAD_MAX_RATE'] as const) : []),
        [given.isPoll ? { after: 'x' } : { parameters: { lastEventId: 'x' } }, 'BAD_CURSOR'],
        [{}, 'BAD_VIDEO_ID', 'no.video'],
        ...(given.isPoll ? [[{ parameters: { wait: '61' } }, 'BAD_WAIT'], [{ parameters: { wait: 'x' } }, 'BAD_WAIT']] as const : []),
      ]
      for (const [asked, code, videoId = stage.videoId] of cases) {
        const watching = given.watch({ url: stage.url, videoId }, asked)
        t.match(await until(() => watching.ended), { status: 400, code })
      }
    },
  },
  {
    name: 'whoever finds no room is told when to come back',
    async run(t, given) {
      const stage = given.stage({ isFull: true })
      const watching = given.watch(stage)
      const { retryMs } = await until(() => watching.ended)
      t.ok(retryMs! >= 500 && retryMs! < 2_500, `${retryMs} ms`)
      t.same(watching.events, [])
    },
  },
  {
    name: 'one stream too many of an address is refused (429), and a place is free again once one has left',
    async run(t, given) {
      const stage = given.stage({ streamsPerAddress: 1 })
      const first = await given.watchReady(stage, { after: '0' })
      stage.post()
      await until(() => idsOf(first).length === 1)
      await sleep(100) // a long-poll has begun anew by then
      const second = given.watch(stage, { after: first.cursor })
      t.match(await until(() => second.ended), { status: 429, code: 'RATE_LIMITED' })
      first.close()
      await until(async () => {
        const third = given.watch(stage, { after: '0' })
        await until(() => third.ended ?? third.events.length > 0)
        third.close()
        return !third.ended
      }, { what: 'a place' })
    },
  },
  {
    name: 'a drain tells a viewer to come back, and the next server goes on where the first one ended',
    async run(t, given) {
      const stage = given.stage()
      const first = await given.watchReady(stage, { after: '0' })
      const ids = stage.post(3)
      await came(first, ids)
      const drained = stage.drain()
      ids.push(...stage.post(2))
      const ended = await until(() => first.ended)
      t.ok(ended.retryMs! >= 500, `${ended.retryMs} ms`)
      await drained
      ids.push(...stage.post(2))
      const second = given.watch({ url: stage.otherUrl, videoId: stage.videoId }, { after: first.cursor })
      await until(() => [...idsOf(first), ...idsOf(second)].length >= ids.length, { timeoutMs: 8_000, what: 'the rest' })
      t.same([...idsOf(first), ...idsOf(second)], ids)
    },
  },
  {
    name: 'a stream that needs a token has one, and ends with it',
    async run(t, given) {
      const issuer = new Issuer({ ed: 'EdDSA' })
      const identity = identityOf(issuer, { random: () => 0 })
      const stage = given.stage({ identity })
      const stranger = given.watch(stage, { after: '0' })
      t.match(await until(() => stranger.ended), { status: 401, code: 'UNAUTHORIZED' })
      const token = await issuer.token('ed', { exp: seconds() - 28 }) // valid for two seconds more
      const watching = await given.watchReady(stage, { after: '0', token })
      const ids = stage.post()
      await came(watching, ids)
      t.same(idsOf(watching), ids)
      const { status, code, retryMs } = await until(() => watching.ended, { timeoutMs: 6_000, what: 'the end' })
      if (given.isPoll) t.match([status, code], [401, 'UNAUTHORIZED'])
      else t.ok(retryMs! >= 500)
      if (code !== undefined && !given.isPoll) t.equal(code, 'expired')
    },
  },
  {
    name: 'a slow reader has all of it in the end, or is told of a gap',
    isLong: true,
    exempt: { 'long-poll': 'it takes one answer at a time' },
    async run(t, given) {
      const stage = given.stage({ size: LARGE })
      const watching = await given.watchReady(stage, { after: '0' })
      watching.pause()
      const ids: string[] = []
      for (let i = 0; i < 4; i++) {
        ids.push(...stage.post(400)) // 12 MB in all: more than the kernel takes
        await sleep(20)
      }
      watching.resume()
      const since = performance.now()
      const all = [watching]
      // Where the machine is so busy that it is cut off as too slow, it comes back.
      await until(() => {
        const last = all.at(-1)!
        if (last.ended !== undefined) all.push(given.watch(stage, { after: last.cursor! }))
        return last.cursor === ids.at(-1)
      }, { what: 'the last comment' })
      if (performance.now() - since < SLOW_MS) t.equal(all.length, 1, 'it stays where it is')
      const told = all.flatMap(idsOf)
      const seen = new Set(told)
      t.equal(seen.size, told.length, 'each once')
      const gaps = all.flatMap(({ events }) => events).filter(({ event }) => event === 'gap').map(({ data }) => data as { from: string; to: string })
      const missing = ids.filter(id => !seen.has(id) && !gaps.some(({ from, to }) => Number(from) < Number(id) && Number(id) <= Number(to)))
      t.same(missing, [])
    },
  },
  {
    name: 'one that reads nothing is cut off within seconds, and resumes',
    isLong: true,
    exempt: { 'long-poll': 'it holds nothing of the server while it reads nothing', 'SSE, gzip': 'no text of the suite is so large once it is compressed' },
    async run(t, given) {
      const stage = given.stage({ size: LARGE })
      const watching = await given.watchReady(stage, { after: '0' })
      watching.pause()
      for (let i = 0; i < 100; i++) {
        stage.post(20) // 16 MB in all: more than the kernel takes
        await sleep(5)
      }
      await sleep(9_000)
      watching.resume()
      await until(() => watching.ended, { what: 'the end' })
      const cursor = watching.cursor!
      const second = given.watch(stage, { after: cursor })
      await until(() => second.events.length > 0, { what: 'what follows' })
      t.ok(second.events[0]!.event === 'gap' || Number(second.events[0]!.id) > Number(cursor))
    },
  },
]
