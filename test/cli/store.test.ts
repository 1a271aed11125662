import t from 'tap'
import { storesText } from '../../cli/store.js'

const found = (path: string, stored: number) => ({ id: 'dispatcher-1', path, found: { id: '379008c59c607d31', generation: 'd608f2721f075c72', stored }, refused: null, cannotStore: null })
const text = (path: string, stored: number) => storesText({ expected: null, dispatchers: [found(path, stored)] }, false)

t.test('the comments of a file are told, and none of a Cassandra, which does not count them', async t => {
  t.match(text('/data/comments.db', 1_234), /^dispatcher-1 +379008c59c607d31 +1,234 +/m)
  t.match(text('cassandra://127.0.0.1:9042/comments', 0), /^dispatcher-1 +379008c59c607d31 +- +/m)
})
