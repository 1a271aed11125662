import { Buffer } from 'node:buffer'
import t from 'tap'
import type { Channel } from './channel.js'
import { MIXES } from './mixes.js'
import { simulate, type Hooks } from './simulation.js'
import { tryMixes } from './try-mixes.js'

t.setTimeout(200_000)

t.test('clusters in every kind of trouble, and in none', { timeout: 200_000 }, t => tryMixes(t, MIXES, { first: 1, last: 2 }))

t.test('the same seed gives the same run, event by event; another gives another', async t => {
  const first = await simulate(7, 'hard')
  t.same(await simulate(7, 'hard'), first)
  t.not((await simulate(8, 'hard')).trace, first.trace)
})

/** Changes what viewers are sent: the nth write of a comment on any channel to one. */
function tampered(change: (write: (bytes: Uint8Array | string) => boolean, bytes: Uint8Array | string) => boolean): Hooks {
  return {
    built({ network }) {
      let comments = 0
      network.opened = (channel: Channel, to: string) => {
        if (!to.startsWith('w')) return
        const send = channel.write.bind(channel)
        channel.write = bytes => (Buffer.from(bytes as Uint8Array).includes('"content"') && ++comments === 40 ? change(send, bytes) : send(bytes))
      }
    },
  }
}

t.test('the checker sees what is wrong', async t => {
  const wrong: Record<string, { readonly hooks: Hooks; readonly invariants: readonly string[] }> = {
    'a comment that does not arrive': { hooks: tampered(() => true), invariants: ['missed'] },
    'a comment that comes twice': { hooks: tampered((send, bytes) => send(bytes) && send(bytes)), invariants: ['twice', 'order'] },
    'a comment that comes late': {
      hooks: {
        built({ network, world }) {
          network.opened = channel => {
            const send = channel.write.bind(channel)
            channel.write = bytes => {
              if (world.now < 4_000) return send(bytes)
              world.after(400, () => send(bytes))
              return true
            }
          }
        },
      },
      invariants: ['late'],
    },
    'a byte of a compressed stream that is lost': {
      hooks: {
        built({ network }) {
          network.opened = (channel: Channel, to: string) => {
            const send = channel.write.bind(channel)
            channel.write = bytes => send(to.startsWith('w') && channel.headers.has('content-encoding') && bytes.length > 100 ? bytes.slice(0, -1) : bytes)
          }
        },
      },
      invariants: ['encoding'],
    },
    'a comment that was acknowledged and is not there': {
      hooks: {
        built({ disk, world }) {
          world.after(4_500, () => disk.model.videos.forEach(stored => stored.pop()))
        },
      },
      invariants: ['history', 'missed', 'paging'],
    },
    'an error in the code': {
      hooks: {
        built({ disk }) {
          const store = disk.store.bind(disk)
          disk.store = process => Object.assign(store(process), { append: () => Promise.reject(new TypeError('a bug')) })
        },
      },
      invariants: ['bug'],
    },
  }
  for (const [what, { hooks, invariants }] of Object.entries(wrong)) {
    const { violations } = await simulate(4, 'none', hooks)
    t.ok(violations[0] && invariants.includes(violations[0].invariant), what, { violations })
  }
})
