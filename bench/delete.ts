import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SignJWT } from 'jose'
import { table } from '../cli/table.js'
import { transports } from '../test/conformance/conform.js'
import type { Transport, Watching } from '../test/conformance/watching.js'
import { until } from '../test/support/until.js'
import { count } from './arguments.js'
import { numberOf, type Benchmark } from './benchmark.js'
import { wallMs } from './load/schedule.js'
import { Histogram, quantiles, type Quantiles } from './measure/histogram.js'
import { LiveSystem } from './systems/live.js'

const VIDEO = 'deleted'
const SECRET = 'a secret of thirty-two bytes or more'
/** Viewers are looked at so often: what is measured is up to so much too long. */
const LOOK_MS = 2
/** Between two deletions. */
const PAUSE_MS = 1_000
/** Connections that are opened at a time. */
const CAME_AT_ONCE = 100
/** Moderators' work is to be seen within a second. */
const SOON_MS = 1_000

interface Watcher {
  readonly watching: Watching
  /** Events that were looked at. */
  looked: number
  /** Ids of comments that it knows to be deleted. */
  readonly deleted: Set<string>
}

interface Shown {
  readonly transport: string
  readonly viewers: number
  /** From the moderator's request on; undefined where none came by it. */
  readonly ms: Quantiles | undefined
}

/** A comment that a moderator deletes, again and again, while many watch and some are just coming back. */
export const deletion: Benchmark = {
  name: 'delete',
  question: 'how soon is a deleted comment gone, everywhere?',
  flags: command =>
    command
      .option('--viewers <count>', 'viewers of the video, by all transports alike', count, 1_000)
      .option('--resuming <count>', 'viewers besides, who leave and come back from before the comment all the time', count, 50)
      .option('--deletions <count>', 'comments that are deleted, one after the other', count, 10),
  async run(flags, progress) {
    const [viewers, resuming, deletions] = [numberOf(flags, 'viewers'), numberOf(flags, 'resuming'), numberOf(flags, 'deletions')]
    progress.title(`${deletions} deletions before ${viewers} viewers`)
    progress.step('starting a cluster')
    await using system = await LiveSystem.start({ via: 'gateway', edges: 2, dispatchers: 2, env: { AUTH_JWT_SECRET: SECRET } })
    const { url, data } = system.cluster
    const authorization = `Bearer ${await new SignJWT({ mod: true }).setSubject('mo').setProtectedHeader({ alg: 'HS256' }).setExpirationTime('1h').sign(new TextEncoder().encode(SECRET))}`
    const post = async (content: string) => {
      const response = await fetch(`${url}/comments/${VIDEO}`, { method: 'POST', headers: { authorization, 'content-type': 'application/json' }, body: JSON.stringify({ content }) })
      if (response.status !== 201) throw new Error(`a post was answered ${response.status}`)
      return ((await response.json()) as { id: string }).id
    }
    const before = await post('before all others')

    const watchers = new Map<Transport, Watcher[]>(transports.map(transport => [transport, []]))
    for (let i = 0; i < viewers; i += CAME_AT_ONCE) {
      progress.step('viewers come', i / viewers)
      const coming = Array.from({ length: Math.min(CAME_AT_ONCE, viewers - i) }, (_, j) => {
        const transport = transports[(i + j) % transports.length]!
        const watching = transport.watch(url, VIDEO, { after: before })
        watchers.get(transport)!.push({ watching, looked: 0, deleted: new Set() })
        return watching.ready()
      })
      await Promise.all(coming)
    }
    const all = [...watchers.values()].flat()

    const leaks: string[] = []
    const state = { over: false, text: '', resumed: 0 }
    const comeBack = async (i: number) => {
      while (!state.over) {
        const { text } = state // deleted before this stream was asked for
        const watching = transports[i % transports.length]!.watch(url, VIDEO, { after: before })
        await watching.ready()
        await sleep(20 + (i % 7) * 10)
        watching.close()
        state.resumed++
        if (text !== '' && JSON.stringify(watching.events).includes(text)) leaks.push(`a stream that was resumed after the deletion had ${text}`)
      }
    }
    const returning = Array.from({ length: resuming }, (_, i) => comeBack(i))

    const seenMs = new Map(transports.map(transport => [transport, new Histogram()]))
    const answeredMs = new Histogram()
    for (let i = 0; i < deletions; i++) {
      const text = `unspeakable-${i}-${Math.random().toString(36).slice(2)}`
      const id = await post(text)
      await until(() => all.every(({ watching }) => watching.cursor !== undefined && Number(watching.cursor) >= Number(id)), { what: 'everyone has the comment' })
      const asked = wallMs()
      const answer = fetch(`${url}/comments/${VIDEO}/${id}`, { method: 'DELETE', headers: { authorization } }).then(async response => {
        if (response.status !== 200) throw new Error(`a deletion was answered ${response.status}`)
        await response.arrayBuffer()
        answeredMs.record(wallMs() - asked)
        state.text = text
        for (const direction of ['before', 'after']) {
          if ((await (await fetch(`${url}/comments/${VIDEO}?pageSize=200&direction=${direction}`)).text()).includes(text)) leaks.push(`history had ${text}`)
        }
        for (const name of readdirSync(data)) if (name.startsWith('comments.db') && readFileSync(join(data, name)).includes(text)) leaks.push(`${name} had ${text}`)
      })
      const missing = new Set([...watchers].flatMap(([transport, each]) => each.map(watcher => ({ transport, watcher }))))
      while (missing.size > 0) {
        for (const entry of missing) {
          const { transport, watcher } = entry
          if (watcher.watching.ended) throw new Error(`a stream by ${transport.name} was ended`)
          if (!knowsDeleted(watcher, id)) continue
          seenMs.get(transport)!.record(wallMs() - asked)
          missing.delete(entry)
        }
        await sleep(LOOK_MS)
      }
      await answer
      progress.step('deleting', i / deletions)
      await sleep(PAUSE_MS)
    }
    state.over = true
    await Promise.all(returning)
    for (const { watching } of all) watching.close()
    progress.end()

    const shown = [...watchers].map(([transport, each]): Shown => ({ transport: transport.name, viewers: each.length, ms: quantiles(seenMs.get(transport)!) }))
    const isSoon = shown.every(({ ms }) => ms === undefined || ms.max < SOON_MS)
    const verdict = leaks.length > 0 ? `FAILED: ${leaks.length} times, first: ${leaks[0]}` : `In no stream that was resumed afterwards (${state.resumed} were, in all), in no page of history, and in no byte of SQLite's files. ${isSoon ? 'Within a second everywhere.' : 'NOT within a second everywhere.'}`
    const rows = [...shown.map(({ transport, viewers, ms }) => [transport, String(viewers), ...cells(ms)]), ['the moderator is answered', '', ...cells(quantiles(answeredMs))]]
    return {
      text: `${table([{ head: 'deleted, told by' }, { head: 'viewers', align: 'right' }, { head: 'p50 ms', align: 'right' }, { head: 'p99 ms', align: 'right' }, { head: 'max ms', align: 'right' }], rows, false)}\n${verdict}\n`,
      runs: [{ deletions, resumed: state.resumed, leaks, answeredMs: quantiles(answeredMs), shown }],
      correct: leaks.length === 0,
    }
  },
}

function knowsDeleted(watcher: Watcher, id: string): boolean {
  const { watching, deleted } = watcher
  for (; watcher.looked < watching.events.length; watcher.looked++) {
    const { event, data } = watching.events[watcher.looked]!
    if (event === 'deleted') deleted.add((data as { target: string }).target)
  }
  return deleted.has(id)
}

function cells(ms: Quantiles | undefined): string[] {
  return ms ? [ms.p50, ms.p99, ms.max].map(each => each.toFixed(0)) : ['-', '-', '-']
}
