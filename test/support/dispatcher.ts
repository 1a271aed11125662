import { spawn, type ChildProcess } from 'node:child_process'
import type { Test } from 'tap'
import { Guard } from '../../cluster/guard.js'
import type { Comment, Draft } from '../../protocol/comment.js'
import { parseResults, printPosts, READS_HEADER, READS_OUTCOME_UNKNOWN, type PostResult } from '../../protocol/posts.js'
import type { InternalClient } from '../../runtime/peers/client.js'
import { ENTRY, plainNode } from './program.js'
import { until } from './until.js'

const TIMEOUT_MS = 30_000

/** A dispatcher's process by itself. */
export interface RunningDispatcher {
  readonly url: string
  readonly process: ChildProcess
  /** The lines that it has logged. */
  readonly log: () => { readonly event: string; readonly reason?: string; readonly videoId?: string }[]
}

export interface DispatcherOptions {
  readonly env?: NodeJS.ProcessEnv
  /** The program, where it is not ours as it is. */
  readonly entry?: string
  /** Its node's id: another for each of a cluster. */
  readonly id?: string
  /** A ZooKeeper, and then it is waited for until it is ready. Without, it uses a store that was accepted where it is. */
  readonly zookeeper?: string | undefined
}

/** Starts one, which is killed when `t` ends. @param path of its store */
export async function startDispatcher(t: Test, path: string, { env = {}, entry = ENTRY, id = 'd1', zookeeper }: DispatcherOptions = {}): Promise<RunningDispatcher> {
  const child = spawn('env', [...plainNode(), entry, 'dispatcher'], {
    env: { PATH: process.env['PATH'], STORE_URL: `sqlite:${path}`, NODE_ID: id, INTERNAL_PORT: '0', ZOOKEEPER_CONNECT: zookeeper ?? '127.0.0.1:1/none', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const guard = new Guard()
  guard.protect([child.pid!])
  t.teardown(async () => {
    await kill(child)
    guard.close()
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more))
  const url = await until(() => /"internalUrl":"(http[^"]+)"/.exec(text)?.[1], { what: 'a dispatcher listens' })
  if (zookeeper !== undefined) await until(() => fetch(`${url}/readyz`).then(({ ok }) => ok), { what: 'a dispatcher is ready' })
  return { url, process: child, log: () => text.split('\n').slice(0, -1).map(line => JSON.parse(line) as { event: string }) }
}

/** SIGKILL; resolves when it has ended. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

/** Posts to a dispatcher, as a gateway does. */
export async function postTo(client: InternalClient, url: string, posts: readonly Draft[]): Promise<PostResult[]> {
  return parseResults(await client.call(url, { path: '/internal/posts', headers: { [READS_HEADER]: READS_OUTCOME_UNKNOWN }, body: printPosts({ passedOn: false, posts }), timeoutMs: TIMEOUT_MS }))
}

/** The same for one post that has to be stored. @throws Error when it is not */
export async function storeAt(client: InternalClient, url: string, draft: Draft): Promise<Comment> {
  const [result] = await postTo(client, url, [draft])
  if (!result || !('comment' in result)) throw new Error(`not stored: ${JSON.stringify(result)}`)
  return result.comment
}
