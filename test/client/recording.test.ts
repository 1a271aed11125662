import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Comment, Comments, PageWanted } from '../../client/comments.js'
import { Recording, type Media, type RecordingOptions } from '../../client/recording.js'
import { until } from '../support/until.js'

const START = 1_700_000_000_000

/** A video whose comments came every `everyMs` from the beginning of its recording. */
function recorded(t: Test, count: number, everyMs: number, options: Partial<RecordingOptions> = {}) {
  const all = Array.from({ length: count }, (_, i): Comment => ({ id: String(i + 1), authorId: 'ann', content: `${i}`, createdAt: START + i * everyMs }))
  const asked: PageWanted[] = []
  const server = { failures: 0 }
  const page: Comments['page'] = async (wanted = {}) => {
    const { before, after, since, until, size = 50 } = wanted
    asked.push(wanted)
    await sleep(1)
    if (server.failures-- > 0) throw new Error('away')
    const found = all.filter(({ id, createdAt }) => !(Number(id) >= Number(before) || Number(id) <= Number(after) || createdAt < since! || createdAt >= until!))
    const forward = after !== undefined || since !== undefined
    return { comments: forward ? found.slice(0, size) : found.slice(-size), deleted: [], more: found.length > size }
  }
  const recording = new Recording({ page }, { start: START, ...options })
  t.after(() => recording.close())
  const told: number[] = []
  const resets: number[][] = []
  const early: number[] = []
  recording.on('comment', ({ id, createdAt }) => {
    told.push(Number(id))
    if (createdAt > START + recording.position - recording.offsetMs + 1) early.push(Number(id))
  })
  recording.on('reset', comments => resets.push(comments.map(({ id }) => Number(id))))
  return { recording, told, resets, early, asked, server }
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

t.test('each comment comes at its position, in order, and none while it is paused', async t => {
  const { recording, told, resets, early } = recorded(t, 20, 10)
  recording.seek(0)
  await until(() => resets.length === 1)
  t.same(resets, [[1]], 'what was written at this very moment')
  recording.play()
  await until(() => told.length >= 5)
  recording.pause()
  const at = told.length
  const { position } = recording
  await sleep(40)
  t.same([told.length, recording.position], [at, position])
  recording.play()
  await until(() => told.length === 19)
  t.same(told, numbers(2, 20))
  t.same(early, [])
})

t.test('at a seek the comments just before the position replace all others', async t => {
  const { recording, told, resets, asked } = recorded(t, 1_000, 1_000, { recent: 3 })
  recording.seek(500_500)
  recording.play(1_000)
  await until(() => told.length >= 300)
  recording.pause()
  t.same(resets, [[499, 500, 501]])
  t.same(told, numbers(502, 501 + told.length))
  t.ok(asked.length <= 4, 'pages of 200')
  recording.seek(1_000)
  await until(() => resets.length === 2)
  t.same(resets[1], [1, 2])
  const count = told.length
  recording.play(1_000)
  await until(() => told.length > count)
  t.equal(told[count], 3, 'nothing of where it was before')
})

t.test('an offset moves all comments', async t => {
  const { recording, resets } = recorded(t, 10, 1_000)
  recording.seek(5_000)
  await until(() => resets.length === 1)
  recording.offsetMs = 2_000
  await until(() => resets.length === 2)
  t.same(resets, [numbers(1, 6), numbers(1, 4)], 'two seconds later')
})

t.test('what cannot be read is asked for again, and said', async t => {
  const { recording, resets, server } = recorded(t, 3, 1_000)
  const failures: string[] = []
  recording.on('failed', ({ message }) => failures.push(message))
  server.failures = 1
  recording.seek(2_500)
  await until(() => failures.length === 1)
  t.same(failures, ['away'])
  recording.seek(2_500) // at once, as a viewer would
  await until(() => resets.length === 1)
  t.same(resets, [[1, 2, 3]])
})

/** Plays as a `<video>` does, without a picture. */
class FakeMedia extends EventTarget implements Media {
  playbackRate = 1
  paused = true
  seeking = false
  readyState = 4
  #at = 0
  #since = performance.now()

  get currentTime(): number {
    const runs = !this.paused && !this.seeking && this.readyState >= 3
    return this.#at + (runs ? ((performance.now() - this.#since) / 1_000) * this.playbackRate : 0)
  }

  set currentTime(at: number) {
    this.#at = at
    this.#since = performance.now()
  }

  change(changed: Partial<Record<'playbackRate' | 'currentTime' | 'readyState', number> & Record<'paused' | 'seeking', boolean>>, event: string): void {
    Object.assign(this, { currentTime: this.currentTime, ...changed })
    this.dispatchEvent(new Event(event))
  }
}

t.test('it keeps in step with a video: its pauses, speeds, jumps and waits', async t => {
  const { recording, told, resets } = recorded(t, 100, 100)
  const media = new FakeMedia()
  const change = media.change.bind(media)
  const leave = recording.follow(media)
  await until(() => resets.length === 1)
  change({ paused: false, playbackRate: 10 }, 'play')
  await until(() => told.length >= 5)
  change({ readyState: 2 }, 'waiting')
  const at = told.length
  await sleep(30)
  t.equal(told.length, at, 'it waits for data')
  change({ readyState: 4 }, 'playing')
  await until(() => told.length > at)
  t.same(told, numbers(2, told.length + 1), 'and goes on')
  change({ readyState: 2 }, 'waiting')
  const before = told.length
  change({ seeking: true, currentTime: 8 }, 'seeking')
  change({ seeking: false, readyState: 4 }, 'seeked')
  await until(() => resets.length === 2)
  t.equal(resets[1]!.at(-1), 81)
  await until(() => told.length > before)
  t.equal(told[before], 82)
  change({ currentTime: 2, paused: true }, 'timeupdate')
  await until(() => resets.length === 3)
  t.equal(resets[2]!.at(-1), 21, 'also where no event says that it jumped')
  leave()
  change({ currentTime: 9 }, 'timeupdate')
  await sleep(10)
  t.equal(resets.length, 3)
})
