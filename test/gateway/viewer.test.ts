import fc from 'fast-check'
import t from 'tap'
import { RelayedViewer } from '../../gateway/viewer.js'
import { frame, FrameError, FrameKind, framesOf, streamEvent } from '../../protocol/frame.js'
import { commentEvent, HEARTBEAT, readyEvent, SseParser } from '../../protocol/sse.js'

const comment = (id: number) => streamEvent(id, commentEvent(id, `{"id":"${id}"}`))
const ready = (id: number) => frame(FrameKind.ready, id, readyEvent(id, 'v', 1))
const newcomer = { videoId: 'v', after: undefined, recent: undefined }

/** Bytes in pieces of the given sizes, over and over. */
function* pieces(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!
    yield bytes.subarray(at, at + size)
    at += size
  }
}

t.test('however edges cut their streams and die, a viewer gets everything once, in order, with one ready', async () => {
  fc.assert(
    fc.property(
      fc.record({
        head: fc.integer({ min: 0, max: 40 }),
        start: fc.option(fc.integer({ min: 0, max: 40 }), { nil: undefined }),
        recent: fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined }),
        // Each edge: how much its stream carries, how it is cut, where it breaks off.
        edges: fc.array(fc.record({ live: fc.integer({ min: 0, max: 10 }), sizes: fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 5 }), breakAt: fc.double({ min: 0, max: 1, noNaN: true }), burst: fc.integer({ min: 1, max: 4 }) }), { minLength: 1, maxLength: 6 }),
      }),
      ({ head, start, recent, edges }) => {
        let last = head
        const after = start === undefined ? undefined : Math.min(start, head)
        const viewer = new RelayedViewer({ videoId: 'v', after, recent })
        const parser = new SseParser()
        const seen: { event: string; id: number }[] = []
        edges.forEach(({ live, sizes, breakAt, burst }, n) => {
          const request = viewer.resume()
          const from = request.after ?? Math.max(0, last - (request.recent ?? 0))
          const events = []
          for (let id = from + 1; id <= last; id++) events.push(comment(id))
          const parts = [framesOf(events), ready(last)]
          for (let i = 0; i < live; i += burst) {
            const flush = [streamEvent(0, HEARTBEAT)]
            for (let j = 0; j < Math.min(burst, live - i); j++) flush.push(comment(++last))
            parts.push(framesOf(flush))
          }
          const all = Buffer.concat(parts)
          const isLast = n === edges.length - 1
          const sent = isLast ? all : all.subarray(0, Math.floor(all.length * breakAt))
          for (const chunk of pieces(sent, sizes)) {
            const { bytes } = viewer.push(chunk)
            if (!bytes) continue
            if (!bytes.toString().endsWith('\n\n')) throw new Error('an event was torn')
            for (const { event, id } of parser.push(bytes)) seen.push({ event, id: Number(id) })
          }
        })
        const ids = seen.filter(({ event }) => event === 'message').map(({ id }) => id)
        const readies = seen.filter(({ event }) => event === 'ready')
        if (readies.length !== 1) throw new Error(`${readies.length} ready events`)
        ids.forEach((id, i) => {
          if (i > 0 && id !== ids[i - 1]! + 1) throw new Error(`${id} after ${ids[i - 1]}`)
        })
        if (after !== undefined && ids.length > 0 && ids[0] !== after + 1) throw new Error('the beginning is missing')
        if (after !== undefined && ids.length !== last - after) throw new Error('the end is missing')
        const promised = Math.min(after ?? Infinity, readies[0]!.id)
        if (!ids.concat(promised).includes(last)) throw new Error('what came after ready is missing')
      },
    ),
    { numRuns: 500 },
  )
})

t.test('recent is asked for until something with an id was passed on', async t => {
  const viewer = new RelayedViewer({ videoId: 'v', after: undefined, recent: 50 })
  t.same(viewer.resume(), { videoId: 'v', after: undefined, recent: 50 })
  viewer.push(framesOf([streamEvent(0, HEARTBEAT)]))
  t.equal(viewer.resume().recent, 50)
  viewer.push(framesOf([comment(7)]))
  t.same(viewer.resume(), { videoId: 'v', after: 7, recent: undefined })
})

t.test('ready in an empty video gives a place: what is posted while no edge is there is not missed', async t => {
  const viewer = new RelayedViewer(newcomer)
  viewer.push(ready(0))
  t.same(viewer.resume(), { videoId: 'v', after: 0, recent: undefined })
})

t.test('the place is set, not maxed: a viewer whose cursor was not the video\'s resumes below it', async t => {
  const viewer = new RelayedViewer({ videoId: 'v', after: 1_000, recent: undefined })
  viewer.push(ready(5))
  t.equal(viewer.resume().after, 5)
  viewer.push(framesOf([comment(6)]))
  t.equal(viewer.resume().after, 6)
  const other = new RelayedViewer({ videoId: 'v', after: 1_000, recent: undefined })
  other.push(framesOf([comment(3)]))
  t.equal(other.resume().after, 3)
})

t.test('half a frame is forgotten with its edge', async t => {
  const viewer = new RelayedViewer(newcomer)
  viewer.push(framesOf([comment(1)]))
  const torn = framesOf([comment(2)])
  t.equal(viewer.push(torn.subarray(0, torn.length - 1)).bytes, undefined)
  t.equal(viewer.resume().after, 1)
  t.match(viewer.push(framesOf([comment(2)])).bytes?.toString(), /^id: 2\n/)
})

t.test('the end is told with what came before it', async t => {
  const { bytes, end, frames } = new RelayedViewer(newcomer).push(Buffer.concat([framesOf([comment(1)]), frame(FrameKind.end, 0, 'drain')]))
  t.match(bytes?.toString(), /^id: 1\n/)
  t.equal(end, 'drain')
  t.equal(frames, 2)
})

t.test('what is no frame is an error', async t => {
  t.throws(() => new RelayedViewer(newcomer).push(Buffer.from('HTTP/1.1 200 OK')), FrameError)
  t.throws(() => new RelayedViewer(newcomer).push(frame(FrameKind.end, 0, 'whim')), FrameError)
  t.throws(() => new RelayedViewer(newcomer).push(Buffer.concat([frame(FrameKind.end, 0, 'slow'), framesOf([comment(1)])])), FrameError)
})
