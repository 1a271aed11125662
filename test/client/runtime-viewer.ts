import process from 'node:process'
import { Comments } from '../../client/comments.js'
import { Several } from '../../client/several.js'

/** What `runtime-viewer.js URL VIDEO` prints in one line of JSON, before it ends by itself. */
export interface Watched {
  /** Ids in the order in which listeners were told of them. */
  readonly told: string[]
  /** The same for `for await`. */
  readonly looped: string[]
  /** By the stream of several videos, of VIDEO. */
  readonly several: string[]
  /** The states that it was in. */
  readonly states: string[]
  /** The id of what it posted. */
  readonly posted: string
  /** The ids of all that history has, by pages of 50. */
  readonly history: string[]
}

/** Watches VIDEO from its first comment until it is told `end`; answers `cut` with a post. It runs in each runtime that the client
 * is for, and says `live` when its streams are. */
async function watch(url: string, video: string): Promise<Watched> {
  const comments = new Comments(url, video, { after: '0' })
  const several = new Several(url, [video, 'other'], { after: { [video]: '0' } })
  const one = several.comments.get(video)!
  const watched = { told: [] as string[], looped: [] as string[], several: [] as string[], states: [] as string[] }
  let posted: Promise<{ id?: string }> | undefined
  let wasLive = false
  const look = () => {
    if (wasLive || comments.state.is !== 'live' || one.state.is !== 'live') return
    wasLive = true
    process.stdout.write('live\n')
  }
  comments.on('comment', ({ id, content }) => {
    watched.told.push(id)
    if (content === 'cut') posted = comments.post('from a runtime', 'ann') as Promise<{ id?: string }>
  })
  comments.on('state', ({ is }) => {
    watched.states.push(is)
    look()
  })
  one.on('state', look)
  const ended = new Promise<void>(resolve => {
    one.on('comment', ({ id, content }) => {
      watched.several.push(id)
      if (content === 'end') resolve()
    })
  })
  for await (const { id, content } of comments) {
    watched.looped.push(id)
    if (content === 'end') break
  }
  await ended
  const history: string[] = []
  for (let before: string | undefined; ; before = history[0]) {
    const page = await comments.page({ size: 50, ...(before !== undefined && { before }) })
    history.unshift(...page.comments.map(({ id }) => id))
    if (!page.more) break
  }
  const { id = '' } = (await posted) ?? {}
  several.close()
  comments.close()
  return { ...watched, posted: id, history }
}

const [url = '', video = ''] = process.argv.slice(2)
process.stdout.write(`${JSON.stringify(await watch(url, video))}\n`)
