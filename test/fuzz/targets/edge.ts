import { parseBatch, type Batch } from '../../../protocol/wire.js'
import { EdgeStage } from '../../support/edge-stage.js'
import { FakeOutlet } from '../../support/fake-outlet.js'
import { bytes } from '../grammar.js'
import { hostile } from '../mutate.js'
import { must, readOrRefuse, type Target } from '../target.js'
import { wireBatch, WIRE_WORDS } from './wire.js'

const ENCODINGS = ['plain', 'gzip', 'frames', 'gzipFrames'] as const

/** Batches to an edge with viewers of every kind, before a dispatcher that answers with what is in the batch:
 * whatever it is told, a viewer gets whole events with ids that only go up. */
export const edge: Target = {
  name: 'edge',
  what: 'batches and answers, as an edge takes them and its viewers see them',
  cases: 500,
  inputs: hostile(wireBatch.map(bytes), WIRE_WORDS),
  open: () => ({
    async check(input) {
      const batch: Batch = readOrRefuse(() => parseBatch(input), 'WireError') ?? { comments: [], hints: [] }
      const stage = new EdgeStage()
      try {
        // What is pushed is also what the dispatcher answers, with its head, and its word on whether there is more.
        stage.answer = ({ syncs, replay }) =>
          (replay ? [replay] : syncs).map(({ videoId }) => {
            const comments = batch.comments.filter(comment => comment.videoId === videoId)
            return { videoId, head: comments.at(-1)?.id ?? 0, others: 1, from: input.length % 2 ? 'store' : 'memory', more: input.length % 3 === 0, comments }
          })
        const outlets = ENCODINGS.map(encoding => stage.join('v', {}, new FakeOutlet(encoding)).outlet)
        outlets.push(stage.join('v', { after: 20 }, new FakeOutlet()).outlet, stage.join('demo', { recent: 3 }, new FakeOutlet()).outlet)
        await stage.clock.advance(50)
        stage.edge.batch(batch)
        await stage.clock.advance(300)
        stage.edge.batch(batch)
        await stage.clock.advance(700)
        for (const { ids, events } of outlets) {
          must(ids.every((id, i) => i === 0 || id > ids[i - 1]!), `ids do not go up: ${ids.join()}`)
          for (const { event, id, data } of events) {
            must(['message', 'ready', 'viewers', 'gap'].includes(event), `an event of another name: ${event}`)
            if (event === 'message') must(/^[0-9]+$/.test(id) && typeof JSON.parse(data) === 'object', 'a broken comment')
          }
        }
        must(stage.questions.length < 100, `asked ${stage.questions.length} times in a second`)
      } finally {
        stage.edge.stop()
      }
    },
  }),
}
