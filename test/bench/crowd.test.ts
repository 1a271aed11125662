import t from 'tap'
import { Crowd, popularityOf } from '../../bench/load/crowd.js'
import { Random } from '../support/random.js'

t.test('as many videos are watched as are wanted, by few viewers mostly, and the same a while later', async t => {
  const [edges, videos, stayMs] = [10, 2_000, 300_000]
  const popularity = popularityOf(videos)
  const random = new Random(7).next
  const held = new Map<number, number>()
  let changes = 0
  const changed = (rank: number, viewers: number) => {
    changes++
    if (viewers > 0) held.set(rank, viewers)
    else held.delete(rank)
  }
  const crowds = Array.from({ length: edges }, (_, edge) => new Crowd({ edge, edges, videos, popularity, stayMs, random, changed }))
  for (const crowd of crowds) crowd.fill()
  const near = (actual: number, wanted: number, share: number, what: string) => t.ok(Math.abs(actual - wanted) < share * wanted, `${what}: ${actual}, not ${wanted}`)
  const total = () => crowds.reduce((sum, { viewers }) => sum + viewers, 0)
  near(held.size, videos, 0.05, 'videos')
  near(held.get(1)!, popularity, 0.15, 'viewers of the first')
  near(held.get(10)!, popularity / 10, 0.4, 'viewers of the tenth')
  t.equal([...held.values()].reduce((sum, viewers) => sum + viewers, 0), total())

  const before = total()
  changes = 0
  for (let i = 0; i < 3_000; i++) for (const crowd of crowds) crowd.step(100)
  near(held.size, videos, 0.05, 'videos')
  near(total(), before, 0.05, 'viewers')
  near(changes, 2 * before, 0.1, 'within one stay each has gone and another come')
})
