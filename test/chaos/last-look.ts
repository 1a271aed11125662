import { SseParser } from '../../protocol/sse.js'
import type { Stored, Violation } from './check.js'
import type { Ledger } from './ledger.js'
import { TROLL } from './moderators.js'
import type { Address } from './viewer.js'

const LOOK_MS = 10_000
const RECENT = 200

/** What somebody sees who comes when all is over, at every gateway: the newest history, nothing of what was deleted, what is pinned, and
 * that who is banned may not post.
 * @param histories by video, oldest first, as its home has them */
export async function lastLook(ledger: Ledger, histories: ReadonlyMap<string, readonly Stored[]>, gateways: readonly Address[]): Promise<Violation[]> {
  const violations: Violation[] = []
  const acted = [...histories.keys()].filter(videoId => ledger.acts().some(note => note.videoId === videoId))
  for (const { id: gateway, url } of gateways) {
    for (const [videoId, stored] of histories) {
      const newest = await page(`${url}/comments/${videoId}`)
      const expected = stored.slice(-RECENT).map(({ id }) => id)
      if (String(newest) !== String(expected)) violations.push({ videoId, id: undefined, viewer: `the last to come to ${gateway}`, text: `its history ends with ${newest.at(-1)}, and not with the same as at its home, ${expected.at(-1)}` })
    }
    for (const videoId of acted) {
      const bad = (text: string, id?: number) => violations.push({ videoId, id, viewer: `the last to come to ${gateway}`, text })
      const { shown, pinned } = await look(`${url}/comments/${videoId}`)
      for (const id of shown) {
        const deletion = ledger.deletionOf(videoId, id)
        if (deletion?.doneAt !== undefined) bad(`it is shown, and ${deletion.key} deleted it`, id)
      }
      const acts = ledger.acts().filter(note => note.videoId === videoId)
      if (acts.some(({ failed }) => failed)) continue // nobody knows what became of one
      const expected = pinnedBy(acts)
      if (pinned !== expected) bad(`${pinned ?? 'nothing'} is said to be pinned, and not ${expected ?? 'nothing'}`)
      if (!acts.some(({ act, id }) => act.type === 'author-banned' && id !== undefined)) continue
      const code = await post(`${url}/comments/${videoId}`)
      if (code !== 'BANNED') bad(`a post of ${TROLL}, who is banned, was answered ${code}`)
    }
  }
  return violations
}

/** The comment that the acts have left pinned. */
function pinnedBy(acts: ReturnType<Ledger['acts']>): number | undefined {
  let pinned: number | undefined
  const done = acts.filter(({ id }) => id !== undefined).sort((a, b) => a.id! - b.id!)
  for (const { act } of done) {
    if (act.type === 'pinned') pinned = act.target
    else if (act.type === 'deleted' && act.target === pinned) pinned = undefined
  }
  return pinned
}

/** The newest comments, oldest first. @throws Error where there is another answer */
async function page(url: string): Promise<number[]> {
  const response = await fetch(`${url}?pageSize=${RECENT}`, { signal: AbortSignal.timeout(LOOK_MS) })
  if (response.status !== 200) throw new Error(`history was answered ${response.status}: ${await response.text()}`)
  const { comments } = (await response.json()) as { comments: { id: string }[] }
  return comments.map(({ id }) => Number(id)).reverse()
}

/** Comments whose text is shown, up to `ready`, and the one that `ready` says is pinned. @throws Error where there is no `ready` in time */
async function look(url: string): Promise<{ shown: number[]; pinned: number | undefined }> {
  const parser = new SseParser()
  const shown: number[] = []
  const response = await fetch(`${url}?recent=${RECENT}`, { headers: { accept: 'text/event-stream' }, signal: AbortSignal.timeout(LOOK_MS) })
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    for (const { event, data } of parser.push(chunk)) {
      const said = JSON.parse(data) as { id: string; comment?: { id: string } | null; pinned?: { id: string } | null }
      if (event === 'message') shown.push(Number(said.id))
      if (event === 'pinned' && said.comment) shown.push(Number(said.comment.id))
      if (event !== 'ready') continue
      return { shown: said.pinned ? [...shown, Number(said.pinned.id)] : shown, pinned: said.pinned ? Number(said.pinned.id) : undefined }
    }
  }
  throw new Error(`${url} ended before its ready`)
}

/** The code of the answer, 201 where it is stored. */
async function post(url: string): Promise<string> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ content: 'hello', authorId: TROLL }), signal: AbortSignal.timeout(LOOK_MS) })
  return ((await response.json()) as { error?: { code: string } }).error?.code ?? String(response.status)
}
