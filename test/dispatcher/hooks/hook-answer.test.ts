import t from 'tap'
import { answerOf, pauseMs } from '../../../dispatcher/hooks/hook-answer.js'

t.test('a status of 2xx has taken the events, and no other', async t => {
  t.same([200, 202, 204, 299].map(answerOf), ['taken', 'taken', 'taken', 'taken'])
  t.same([101, 300, 301, 307, 400, 404, 429, 500, 503].map(answerOf), Array(9).fill('refused'))
  t.equal(answerOf(410), 'gone')
})

t.test('pauses grow up to a minute, and differ by up to half', async t => {
  t.same([1, 2, 3, 4, 6, 7, 50].map(failures => pauseMs(failures, 'refused', 0)), [500, 1_000, 2_000, 4_000, 16_000, 30_000, 30_000])
  t.equal(pauseMs(1, undefined, 0.99), 995)
  t.equal(pauseMs(1, 'gone', 0), 30_000, 'one that wants nothing is left alone for long')
})
