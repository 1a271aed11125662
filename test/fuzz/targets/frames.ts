import fc from 'fast-check'
import { RelayedViewer } from '../../../gateway/viewer.js'
import { END_REASONS, frame, FRAME_HEADER_BYTES, FrameKind, framesOf, FrameReader, MAX_PAYLOAD_BYTES, streamEvent, type Frame } from '../../../protocol/frame.js'
import { commentEvent, readyEvent } from '../../../protocol/sse.js'
import { cursor, wireComment } from '../grammar.js'
import { hostile } from '../mutate.js'
import { must, readOrRefuse, type Target } from '../target.js'

const valid = fc.oneof(
  fc.array(wireComment, { maxLength: 5 }).map(comments => framesOf(comments.map(({ id, json }) => streamEvent(id, commentEvent(id, json))))),
  cursor.map(id => frame(FrameKind.ready, id, readyEvent(id, 'v', 1))),
  fc.constantFrom(...END_REASONS, 'whim').map(reason => frame(FrameKind.end, 0, reason)),
  fc.integer({ min: 0, max: MAX_PAYLOAD_BYTES }).map(length => frame(FrameKind.events, 1, Buffer.alloc(length, ':\n\n'))),
)

/** An edge's stream to a gateway. However it is cut, the same frames come of it. */
export const frames: Target = {
  name: 'frames',
  what: "an edge's frames, as a gateway reads them",
  cases: 2_000,
  inputs: hostile(fc.array(valid, { maxLength: 4 }).map(list => Buffer.concat(list))),
  open: () => ({
    check(input) {
      const whole = readOrRefuse(() => new FrameReader().push(input), 'FrameError')
      const size = Math.max(1 + ((input.at(-1) ?? 0) % 97), Math.ceil(input.length / 100))
      const reader = new FrameReader()
      const viewer = new RelayedViewer({ videoId: 'v', after: undefined, recent: 5 })
      let viewing = true
      const cut: Frame[] = []
      const read = readOrRefuse(() => {
        for (let at = 0; at < input.length; at += size) {
          const chunk = input.subarray(at, at + size)
          cut.push(...reader.push(chunk).map(({ payload, ...rest }) => ({ ...rest, payload: Buffer.from(payload) })))
          if (viewing) viewing = readOrRefuse(() => viewer.push(chunk), 'FrameError') !== undefined
        }
        return true
      }, 'FrameError')
      must((read !== undefined) === (whole !== undefined), 'whether it can be read depends on how it is cut')
      const place = viewer.resume().after
      must(place === undefined || Number.isSafeInteger(place), 'a place that is no cursor')
      if (!whole) return
      must(Buffer.concat(whole.map(printed)).equals(Buffer.concat(cut.map(printed))), 'other frames come of it when it is cut')
      const length = whole.reduce((sum, { payload }) => sum + FRAME_HEADER_BYTES + payload.length, 0)
      must(Buffer.concat(whole.map(printed)).equals(input.subarray(0, length)), 'not printed as it was read')
      must(input.length - length < FRAME_HEADER_BYTES + MAX_PAYLOAD_BYTES, 'more is kept than a frame')
    },
  }),
}

function printed({ kind, id, payload }: Frame): Buffer {
  return frame(kind, id, payload)
}
