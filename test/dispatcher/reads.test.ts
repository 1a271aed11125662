import t, { type Test } from 'tap'
import { draft, Scene } from './cast.js'

const IN_LINE = 128

/** A dispatcher whose store answers when it is told to. Its memory has nothing of `v`. */
async function slowStore(t: Test) {
  const scene = new Scene(t)
  const { store, dispatcher, clock } = scene
  const last = await scene.elsewhere('v')
  await scene.post(draft('w')) // from now on it is known who may post there
  const waiting: (() => void)[] = []
  store.before = () => new Promise(resolve => waiting.push(resolve))
  /** How each ended, by name. */
  const ended = new Map<string, string>()
  const note = (name: string, work: Promise<unknown>) =>
    work.then(
      () => ended.set(name, 'read'),
      (error: { code: string }) => ended.set(name, error.code),
    )
  return {
    scene,
    ended,
    page: (name: string, wanted?: () => boolean) => void note(name, dispatcher.history('v', { cursor: last, direction: 'before', pageSize: 50 }, wanted)),
    replay: (name: string, wanted?: () => boolean) => void note(name, dispatcher.replay({ videoId: 'v', after: 0, until: last, limit: 10 }, wanted)),
    sync: (name: string) => void note(name, dispatcher.sync({ id: 'e', instance: 'e-1', internalUrl: 'http://e' }, [{ videoId: 'v', last: 0, want: undefined }])),
    reading: () => waiting.length,
    /** The store answers what it has been asked so far. */
    answer: async () => {
      for (const resolve of waiting.splice(0)) resolve()
      await clock.advance(0)
    },
  }
}

t.test('one page or replay is read at a time, by turns, and a sync waits for neither', async t => {
  const { scene, ended, page, replay, sync, reading, answer } = await slowStore(t)
  for (let i = 0; i < 20; i++) page(`page ${i}`)
  replay('replay')
  await scene.clock.advance(0)
  t.equal(reading(), 1)
  sync('sync')
  await scene.clock.advance(0)
  t.equal(reading(), 2)
  await answer()
  t.same([...ended], [['page 0', 'read']])
  for (let i = 0; i < 5 && !(ended.has('replay') && ended.has('sync')); i++) await answer()
  t.same([ended.get('replay'), ended.get('sync')], ['read', 'read'], 'not behind the other pages')
  t.ok(ended.size < 12)
})

t.test('beyond the line a read is refused at once, with a code for which nobody backs off from this dispatcher', async t => {
  const { scene, ended, page, replay } = await slowStore(t)
  for (let i = 0; i < 1 + IN_LINE; i++) page(`page ${i}`)
  page('one too many')
  await scene.clock.advance(0)
  t.same([...ended], [['one too many', 'RATE_LIMITED']])
  replay('replay')
  await scene.clock.advance(0)
  t.equal(ended.size, 2, 'a replay has room: a page made it')
  t.notOk(ended.has('replay'))
  t.equal(await scene.metric('reads_refused_total'), 2)
})

t.test('what nobody waits for any more, or has waited for too long, is not read', async t => {
  const { scene, ended, page, replay, reading, answer } = await slowStore(t)
  let left = false
  page('first')
  page('left', () => !left)
  replay('left too', () => !left)
  left = true
  await scene.clock.advance(0)
  const { page: pages, lastIds } = scene.store.calls
  await answer()
  t.equal(reading(), 0)
  t.same([scene.store.calls.page, scene.store.calls.lastIds], [pages, lastIds])
  for (const name of ['second', 'late']) page(name)
  await scene.clock.advance(2_000)
  t.equal(ended.get('late'), 'RATE_LIMITED')
  await answer()
  t.same([ended.get('second'), reading()], ['read', 0])
})

t.test('posts in hand go first, for 20 ms', async t => {
  const { scene, page, reading, answer } = await slowStore(t)
  const before = scene.store.calls.page
  const posted = scene.post(draft('w'))
  await scene.clock.advance(0)
  page('first')
  await scene.clock.advance(0)
  t.equal(scene.store.calls.page, before)
  await answer()
  await posted
  await scene.clock.advance(0)
  t.equal(scene.store.calls.page, before + 1, 'at once when they are answered')
  await answer()
  void scene.post(draft('w'))
  await scene.clock.advance(0)
  page('second')
  await scene.clock.advance(19)
  t.equal(scene.store.calls.page, before + 1)
  await scene.clock.advance(1)
  t.equal(scene.store.calls.page, before + 2, 'a disk that hangs holds up no page')
  t.equal(reading(), 2)
  await answer()
})
