import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Ledger } from './ledger.js'
import { readOptions } from './options.js'
import { story } from './story.js'

t.test('the story says who stored a comment, to whom it was forwarded and who received it, and nothing of others', t => {
  const data = t.testdir()
  mkdirSync(join(data, 'logs'))
  const time = new Date(1_001_000).toISOString()
  const line = (node: string, id: number, event: string, more = '') => `{"level":"debug","time":"${time}","node":"${node}","videoId":"video","id":"${id}"${more},"event":"${event}"}\n`
  writeFileSync(join(data, 'logs', 'dispatcher-2.log'), [7, 8].map(id => line('dispatcher-2', id, 'comment_stored') + line('dispatcher-2', id, 'comment_forwarded', ',"to":"edge-3"')).join(''))
  writeFileSync(join(data, 'logs', 'edge-3.log'), line('edge-3', 7, 'comment_received') + line('edge-3', 8, 'comment_received'))
  const ledger = new Ledger()
  const post = ledger.add('video', 'post-8', 'post-8')
  ledger.acknowledge(post, 8)
  const lines = story(
    {
      options: readOptions([])!, ledger, viewers: [], done: [], skipped: [], verdict: { violations: [], deliveries: 0, gaps: 0, inGaps: 0, stored: 1 },
      silences: [], closed: [], heldUpMs: 0, settledMs: 0, began: post.begunAt - 1_000, beganWall: 1_000_000, data: new Map([['', data]]), healings: [],
    },
    { videoId: 'video', id: 8, viewer: undefined, text: 'is missing' },
  )
  const told = lines.filter(text => text.includes('"comment_'))
  t.equal(told.length, 3)
  for (const what of ['"node":"dispatcher-2","videoId":"video","id":"8","event":"comment_stored"', '"to":"edge-3","event":"comment_forwarded"', '"node":"edge-3","videoId":"video","id":"8","event":"comment_received"']) {
    t.ok(told.some(text => text.includes(what)), what)
  }
  t.end()
})
