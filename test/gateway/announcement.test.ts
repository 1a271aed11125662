import t from 'tap'
import { Announcement } from '../../gateway/announcement.js'
import type { GatewayNode } from '../../protocol/nodes.js'
import { FakeClock } from '../support/fake-clock.js'
import { gatewayNode } from '../support/nodes.js'

function announced() {
  const clock = new FakeClock()
  const written: GatewayNode[] = []
  let isOpen = true
  let viewers = 0
  const { viewers: _, state: __, ...node } = gatewayNode('g1')
  const announcement = new Announcement(node, {
    clock,
    viewers: () => viewers,
    announce: node => {
      written.push(node)
      return { up: true, set: node => written.push(node), close: () => Promise.resolve(void (isOpen = false)) }
    },
  })
  return { clock, announcement, written, watch: (count: number) => (viewers = count), isOpen: () => isOpen }
}

t.test('a gateway says who it is, and how many watch at most once a second', async t => {
  const { clock, written, watch } = announced()
  t.same(written, [gatewayNode('g1', { viewers: 0, state: 'up' })])
  for (let count = 1; count <= 50; count++) {
    watch(count)
    await clock.advance(20)
  }
  t.same(written.map(({ viewers }) => viewers), [0, 50])
  await clock.advance(10_000)
  t.equal(written.length, 2, 'what has not changed is not written')
})

t.test('its state is written at once, and it is silent once it has left', async t => {
  const { clock, announcement, written, watch, isOpen } = announced()
  watch(3)
  announcement.state('draining')
  t.match(written.at(-1), { state: 'draining', viewers: 3 })
  announcement.state('up')
  t.match(written.at(-1), { state: 'up', viewers: 3 })
  await announcement.close()
  t.notOk(isOpen())
  watch(4)
  await clock.advance(5_000)
  t.equal(written.length, 3)
  t.equal(clock.pending, 0)
})
