import t from 'tap'
import { checkRestore, type Situation } from '../../cli/restore.js'
import { dispatcherNode } from '../support/nodes.js'

const mark = { id: 's1', generation: 'g1', stored: 10 }
const FILE = 'machine:1:2'
const user = (file: string) => dispatcherNode('d1', { store: { id: 's1', generation: 'g1', file } })

const SITUATION: Situation = { store: { path: '/data/comments.db', source: 'from --store' }, backup: { ...mark, stored: 5 }, present: mark, presentFile: FILE, expected: { ...mark, file: FILE }, dispatchers: [user(FILE), dispatcherNode('d2')] }

t.test('a backup is restored into the file that the dispatchers use, or where none uses one', async t => {
  const may: Partial<Situation>[] = [
    {},
    { dispatchers: [] },
    { dispatchers: [dispatcherNode('d2')], presentFile: 'after:the:boot' },
    { dispatchers: [], present: undefined, presentFile: undefined },
    { dispatchers: [], expected: undefined, backup: { ...mark, id: 'other' } },
    { present: { ...mark, stored: 0 }, expected: { ...mark, file: FILE, stored: 0 }, backup: { ...mark, id: 'other' } },
    { backup: undefined }, // it will be found to be unreadable
  ]
  for (const differs of may) t.doesNotThrow(() => checkRestore({ ...SITUATION, ...differs }), JSON.stringify(differs))
})

t.test('it is not restored where a cluster would lose its store by it', async t => {
  const mustNot: [differs: Partial<Situation>, why: RegExp][] = [
    [{ presentFile: 'elsewhere:1:2' }, /^d1 use another file than/],
    [{ present: undefined, presentFile: undefined }, /^d1 use another file than/],
    [{ present: { ...mark, id: 'other' } }, /is store other, and this cluster's is s1/],
    [{ backup: { ...mark, id: 'other' } }, /the backup is of store other/],
    [{ backup: { ...mark, id: null } }, /the backup is of store null/],
    [{ backup: { ...mark, id: 'other' }, expected: { ...mark, file: FILE, stored: 0 } }, /the backup is of store other/],
    [{ backup: { ...mark, id: 'other' }, present: undefined, dispatchers: [] }, /the backup is of store other/],
  ]
  for (const [differs, why] of mustNot) t.throws(() => checkRestore({ ...SITUATION, ...differs }), { code: 'ANOTHER_STORE', message: why }, JSON.stringify(differs))
})
