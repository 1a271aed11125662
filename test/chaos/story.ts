import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Violation } from './check.js'
import type { Outcome } from './run.js'

const BEFORE_MS = 3_000
const AFTER_MS = 8_000
const MAX_LOG_LINES = 60
const MAX_VIEWERS = 12

/** What is known of a violation: how its comment was posted, who saw it when, what was being broken, what the parts logged. */
export function story(outcome: Outcome, violation: Violation): string[] {
  const { ledger, viewers, done, began } = outcome
  const at = (time: number | undefined) => (time === undefined ? 'never' : `${((time - began) / 1_000).toFixed(3)} s`)
  const lines = [`The story of ${violation.videoId}${violation.id === undefined ? '' : `, comment ${violation.id}`}:`]
  const post = [...ledger.posts()].find(({ key, videoId, id }) => videoId === violation.videoId && (id === undefined ? violation.text.startsWith(`${key} `) : id === violation.id))
  if (post) {
    lines.push(`  ${post.key}: begun ${at(post.begunAt)}, acknowledged ${at(post.acknowledgedAt)}`)
    for (const one of post.tries) lines.push(`    tried ${at(one.at)} at ${one.gateway}: ${one.outcome}`)
  }
  for (const notes of viewers.filter(({ videoId }) => videoId === violation.videoId)) {
    if (lines.length > MAX_VIEWERS && notes.viewer !== violation.viewer) continue
    const seenAt = notes.times[notes.ids.indexOf(violation.id ?? -1)]
    lines.push(`  ${notes.viewer}${notes.viewer === violation.viewer ? ' (the one)' : ''}: ${violation.id === undefined ? '' : `saw it ${at(seenAt)}; `}${notes.ids.length} comments, owed above ${notes.start}, last ${notes.ids.at(-1)}${notes.left ? ', left' : ''}`)
    if (notes.viewer !== violation.viewer) continue
    for (const each of notes.connections) lines.push(`    connected ${at(each.at)} to ${each.gateway} pid ${each.pid} from ${each.cursor || 'now'}: ready ${at(each.readyAt)}, ${each.end ?? 'open'} ${each.endedAt === undefined ? '' : at(each.endedAt)}`)
    for (const gap of notes.gaps) lines.push(`    gap (${gap.from}, ${gap.to}] ${at(gap.at)}`)
    if (violation.id !== undefined) {
      const next = notes.ids.findIndex(id => id > violation.id!)
      for (let i = Math.max(0, (next < 0 ? notes.ids.length : next) - 2); i < notes.ids.length && i <= next + 1; i++) lines.push(`    saw ${notes.ids[i]} ${at(notes.times[i])}`)
    }
  }
  const moment = post?.begunAt ?? viewers.find(({ viewer }) => viewer === violation.viewer)?.connections.find(({ end }) => end === 'ended' || end === 'broken')?.endedAt
  if (moment === undefined) return lines
  for (const { name, detail, from, to } of done) if (from < moment + AFTER_MS && to > moment - AFTER_MS) lines.push(`  ${name} ${detail}: ${at(from)} to ${at(to)}`)
  lines.push('  logs:', ...logLines(outcome, moment, violation))
  return lines
}

/** Of what the parts say of each comment, only what they say of this one: who stored it, forwarded it to whom, and received it. */
function logLines({ data, began, beganWall }: Outcome, moment: number, { videoId, id }: Violation): string[] {
  const other = (text: string) => text.includes('"event":"comment_') && !(text.includes(`"videoId":"${videoId}"`) && text.includes(`"id":"${id}"`))
  const wall = beganWall + (moment - began)
  const lines: { at: number; text: string }[] = []
  for (const [name, folder] of data) for (const file of readdirSync(join(folder, 'logs')).filter(file => file.endsWith('.log'))) {
    for (const text of readFileSync(join(folder, 'logs', file), 'utf8').split('\n')) {
      if (other(text)) continue
      const at = Date.parse(/"time":"([^"]+)"/.exec(text)?.[1] ?? '')
      if (at > wall - BEFORE_MS && at < wall + AFTER_MS) lines.push({ at, text: `    ${((at - beganWall) / 1_000).toFixed(3)} s ${name && `${name} `}${text.slice(0, 400)}` })
    }
  }
  return [...lines.sort((a, b) => a.at - b.at).slice(0, MAX_LOG_LINES).map(({ text }) => text), ...[...data.values()].map(folder => `    all of them: ${join(folder, 'logs')}`)]
}
