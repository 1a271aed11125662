import t from 'tap'
import { LastPosts } from '../../dispatcher/last-posts.js'

t.test('it is noted for each author in each video, until it is forgotten', async t => {
  const posts = new LastPosts()
  posts.note('v', 'ann', 5)
  posts.note('v', 'bob', 6)
  posts.note('w', 'ann', 7)
  posts.note('v', 'ann', 8)
  t.same([posts.at('v', 'ann'), posts.at('v', 'bob'), posts.at('w', 'ann'), posts.at('w', 'bob')], [8, 6, 7, undefined])
  posts.forget('v', 'ann')
  t.same([posts.at('v', 'ann'), posts.at('v', 'bob'), posts.at('w', 'ann')], [undefined, 6, 7])
})

t.test('of more authors than it has room for, those who posted last are noted', async t => {
  const posts = new LastPosts()
  for (let i = 0; i < 50_000; i++) posts.note('v', `author ${i}`, i)
  posts.note('v', 'author 0', 50_000)
  t.equal(posts.at('v', 'author 1'), 1)
  posts.note('v', 'author 50000', 50_001)
  t.same([0, 1, 2, 50_000].map(i => posts.at('v', `author ${i}`)), [50_000, undefined, 2, 50_001])
})
