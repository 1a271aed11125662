import fc from 'fast-check'
import { parseCursor } from '../../../protocol/id.js'
import { MAX_VIDEOS, parsePlaces, parseVideos, Places, tagsOf } from '../../../protocol/several.js'
import { bytes, cursor, videoId } from '../grammar.js'
import { hostile } from '../mutate.js'
import { must, readOrRefuse, type Target } from '../target.js'

export const cursors: Target = {
  name: 'cursors',
  what: '`cursor`, `lastEventId`, `Last-Event-ID`',
  cases: 5_000,
  inputs: hostile(fc.oneof(cursor, fc.integer({ min: Number.MAX_SAFE_INTEGER - 9, max: Number.MAX_SAFE_INTEGER })).map(value => bytes(String(value)))),
  open: () => ({
    check(input) {
      const text = input.toString()
      const value = parseCursor(text)
      if (value === undefined) return must(!/^(0|[1-9][0-9]{0,14})$/.test(text), 'a plain number was refused')
      must(Number.isSafeInteger(value) && value >= 0, `read as ${value}`)
      must(BigInt(text) === BigInt(value), 'another number than was written')
      must(parseCursor(String(value)) === value, 'not read as it was printed')
    },
  }),
}

const begun = fc.record({ videoId, after: fc.option(cursor, { nil: undefined }) })

/** A list of videos and an id to resume from, a line each. */
export const severalVideos: Target = {
  name: 'several-videos',
  what: '`videos`, and the ids of streams of several videos',
  cases: 2_000,
  inputs: hostile(fc.uniqueArray(begun, { minLength: 1, maxLength: 5, selector: ({ videoId }) => videoId }).map(videos => {
    const [id] = new Places(videos).passed(0, [videos[0]!.after ?? 7])
    return bytes(`${videos.map(({ videoId, after }) => (after === undefined ? videoId : `${videoId}:${after}`)).join()}\n${id}`)
  })),
  open: () => ({
    check(input) {
      const [list = '', id = ''] = input.toString().split('\n')
      const videos = readOrRefuse(() => parseVideos(list, MAX_VIDEOS), 'LiveError')
      const places = parsePlaces(id)
      if (places) {
        must(places.size >= 1 && id.length <= 900, `${places.size} places in ${id.length} characters`)
        for (const place of places.values()) must(Number.isSafeInteger(place) && place >= 0, `read as ${place}`)
      }
      if (!videos) return
      must(videos.length >= 1 && videos.length <= MAX_VIDEOS && new Set(videos.map(({ videoId }) => videoId)).size === videos.length, `${videos.length} videos`)
      const [printed] = new Places(videos).passed(0, [5])
      const known = videos.filter(({ after }, i) => i === 0 || after !== undefined)
      must(parsePlaces(printed!)?.size === known.length, `not read as it was printed: ${printed}`)
      for (const [i, tag] of tagsOf(known.map(({ videoId }) => videoId)).entries()) must(parsePlaces(printed!)!.get(tag) === (i === 0 ? 5 : known[i]!.after), 'another place than was printed')
    },
  }),
}
