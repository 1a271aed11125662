import t from 'tap'
import { Several } from '../../client/several.js'
import { startOneProcess } from '../support/one-process.js'
import { until } from '../support/until.js'

const VIDEOS = ['a', 'b', 'c']

t.test('several videos by one connection, each resumed at its own place', async t => {
  const cluster = startOneProcess(t)
  const opened: string[] = []
  let cut = () => {}
  const several = new Several(`${cluster.url}/`, VIDEOS, {
    after: { c: '0' },
    recent: 1,
    fetch: async (asked, init) => {
      const url = asked as string
      if (!url.includes('/comments?')) return fetch(url, init)
      opened.push(url.split('?')[1]!)
      const broken = new AbortController()
      cut = () => broken.abort()
      return fetch(url, { ...init, signal: AbortSignal.any([init!.signal!, broken.signal]) })
    },
  })
  t.after(() => several.close())
  const seen: Record<string, string[]> = { a: [], b: [], c: [] }
  for (const [video, comments] of several.comments) comments.on('comment', ({ content }) => seen[video]!.push(content))
  const all = (is: string) => until(() => [...several.comments.values()].every(({ state }) => state.is === is), { what: is })
  await all('live')
  t.same(opened, ['videos=a,b,c:0&recent=1'])
  for (const video of VIDEOS) for (let i = 0; i < 3; i++) await cluster.say(video, `${video}${i}`)
  await until(() => VIDEOS.every(video => seen[video]!.length === 3))
  await until(() => several.comments.get('c')!.viewers === 1)

  const { id } = (await cluster.history('a')).at(-1)!
  cut()
  await until(() => several.comments.get('b')!.state.is !== 'live')
  const said = await several.comments.get('b')!.post('b3')
  await cluster.say('a', 'a3')
  await all('live')
  await cluster.say('c', 'c3')
  await until(() => VIDEOS.every(video => seen[video]!.length === 4))
  for (const video of VIDEOS) t.same(seen[video], [0, 1, 2, 3].map(i => video + i), 'each once and in order')
  t.equal(opened.length, 2)
  t.match(opened[1], new RegExp(`^videos=a:${id},b:[0-9]+,c:[0-9]+&recent=1$`))
  t.ok('id' in said && Number(said.id) > 0)

  several.comments.get('a')!.close()
  await until(() => opened.length === 3)
  t.match(opened[2], /^videos=b:[0-9]+,c:[0-9]+&/)
  several.close()
  await all('closed')
})

t.test('a list that the server refuses is refused for each of its videos', async t => {
  const { url } = startOneProcess(t)
  const several = new Several(url, ['a', 'not a video'])
  t.after(() => several.close())
  await until(() => [...several.comments.values()].every(({ state }) => state.is === 'refused'))
  t.match(several.comments.get('a')!.state, { error: { code: 'BAD_VIDEO_ID' } })
})
