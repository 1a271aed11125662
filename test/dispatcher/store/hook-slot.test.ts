import t from 'tap'
import { hookSlotOf, isOver, nextSlot, parsePlace, placeIn } from '../../../dispatcher/store/cassandra/hook-slot.js'

const MINUTE = 60_000
const NOW = Date.UTC(2026, 5, 1)

t.test('a slot is ten minutes, and is over a quarter of an hour after its end', async t => {
  const slot = hookSlotOf(NOW)
  t.same([hookSlotOf(NOW + 10 * MINUTE - 1), hookSlotOf(NOW + 10 * MINUTE)], [slot, slot + 1])
  t.same([isOver(slot, NOW + 25 * MINUTE - 1), isOver(slot, NOW + 25 * MINUTE)], [false, true])
})

t.test('a search goes from slot to slot, and within one from video to video', async t => {
  t.same(parsePlace(undefined), { slot: 0, videoId: '' })
  t.same(parsePlace(placeIn(7, 'demo')), { slot: 7, videoId: 'demo' })
  t.same(parsePlace(placeIn(8, '')), { slot: 8, videoId: '' })
  t.same([nextSlot([9, 7, 8], 0), nextSlot([9, 7, 8], 8), nextSlot([9, 7, 8], 10), nextSlot([], 0)], [7, 8, undefined, undefined])
})
