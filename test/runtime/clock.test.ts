import t from 'tap'
import { systemClock } from '../../runtime/clock.js'

const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length

t.test('ticks that were set at different times run in one turn', async t => {
  const before = timers()
  const order: string[] = []
  const ran = (name: string) => {
    order.push(name)
    queueMicrotask(() => order.push('the turn is over'))
  }
  // Soon after a multiple, so that both are due at the next.
  await new Promise<void>(resolve => setTimeout(resolve, 100 - (performance.now() % 100) + 10))
  await Promise.all(['first', 'second'].map(async (name, i) => {
    await new Promise<void>(resolve => setTimeout(resolve, 10 * i))
    await new Promise<void>(resolve => systemClock.tick(100, lateMs => {
      t.ok(lateMs > -2, `${lateMs}`) // a timer may be early by the part of a millisecond that it does not count
      ran(name)
      resolve()
    }))
  }))
  t.same(order.slice(0, 2), ['first', 'second'])
  t.equal(timers(), before)
})

t.test('a tick that comes again does so once a period', async t => {
  const at: number[] = []
  await new Promise<void>(resolve => {
    const tick = () => {
      at.push(performance.now())
      if (at.length === 50) resolve()
      else systemClock.tick(10, tick)
    }
    systemClock.tick(10, tick)
  })
  const shortest = Math.min(...at.slice(1).map((time, i) => time - at[i]!))
  t.ok(shortest >= 3, `${shortest} ms`)
})

t.test('a tick that was cancelled does not run, and the last of a moment leaves no timer', async t => {
  const before = timers()
  const ran: string[] = []
  const cancel = systemClock.tick(40, () => ran.push('cancelled'))
  const cancelAlone = systemClock.tick(100_000, () => ran.push('alone'))
  const left = new Promise<void>(resolve => systemClock.tick(40, () => {
    ran.push('left')
    resolve()
  }))
  cancel()
  await left
  t.same(ran, ['left'])
  cancelAlone()
  cancelAlone()
  t.equal(timers(), before)
})
