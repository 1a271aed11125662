import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ports } from '../../cluster/ports.js'
import { projectRoot } from '../../runtime/root.js'
import { authPacket } from '../load/goim-packets.js'
import { Child, nodeServer, temporaryFolder } from './child.js'
import { NotInstalledError, versionOf } from './installed.js'
import { publishTarget } from './publish.js'
import type { RunningSystem } from './system.js'

/** Where the command of GET_IT puts it. */
const BUILT = join(projectRoot, '.cache', 'goim', 'comet')
const GET_IT = 'GOBIN=$PWD/.cache/goim go install github.com/Terry-Mao/goim/cmd/comet@master, or set GOIM_BIN to its comet'
/** How its job gathers a room's messages, so that each viewer gets them in one write. */
export interface Gathering {
  readonly ms: number
  /** So many are sent at once, however short the time. */
  readonly messages: number
}

/** As long as ours at most. */
const AS_OURS: Gathering = { ms: 100, messages: Infinity }
/** `Signal` and `Batch` of its job's example. */
export const GOIM_DEFAULT: Gathering = { ms: 1_000, messages: 20 }

/** comet as its example configures it, on ports of its own, without WebSocket. */
function configuration(folder: string, { discovery, rpc, tcp }: { discovery: number; rpc: number; tcp: number }): string {
  return `
[discovery]
  nodes = ["127.0.0.1:${discovery}"]
[rpcServer]
  addr = "127.0.0.1:${rpc}"
  timeout = "1s"
  idleTimeout = "1h"
[rpcClient]
  dial = "1s"
  timeout = "10s"
[tcp]
  bind = ["127.0.0.1:${tcp}"]
[websocket]
  bind = []
[whitelist]
  Whitelist = []
  WhiteLog = "${folder}/white.log"
`
}

/** goim's comet, which holds the viewers. A server of ours stands for what it needs besides: it lets everybody in, as its logic
 * does, and gathers posts and broadcasts them to the room, as its job does. Without Kafka and Redis a post is not stored. */
export async function startGoim(env: NodeJS.ProcessEnv, gathering = AS_OURS): Promise<RunningSystem> {
  const binary = env['GOIM_BIN'] ?? (existsSync(BUILT) ? BUILT : undefined)
  if (binary === undefined) throw new NotInstalledError(GET_IT)
  versionOf(binary, ['-help'], /./, GET_IT) // it has no flag that tells it
  const ports = new Ports()
  const [publish, logic, rpc, tcp] = [await ports.take('127.0.0.1'), await ports.take('127.0.0.1'), await ports.take('127.0.0.1'), await ports.take('127.0.0.1')]
  const folder = temporaryFolder()
  const file = join(folder.path, 'comet.toml')
  writeFileSync(file, configuration(folder.path, { discovery: publish, rpc, tcp }))
  const surroundings = nodeServer('goim-surroundings', [publish, logic, rpc, gathering.ms, gathering.messages])
  const stopSurroundings = async () => {
    await surroundings.stop()
    folder.remove()
  }
  await surroundings.listening(publish, folder.remove)
  const comet = new Child(binary, ['-conf', file, '-log_dir', folder.path, '-zone', 'bench', '-region', 'bench', '-deploy.env', 'bench', '-host', 'comet'])
  for (const port of [tcp, rpc]) await comet.listening(port, stopSurroundings)
  return {
    name: gathering === GOIM_DEFAULT ? 'goim, its default gathering' : 'goim',
    about: `its comet with its defaults, TCP, posts gathered for ${gathering.ms} ms${gathering.messages === Infinity ? '' : ` or ${gathering.messages} of them`}, as its job does`,
    streams: [{ host: '127.0.0.1', port: tcp, request: authPacket(), protocol: 'goim', ready: null }],
    posts: [publishTarget(publish)],
    stampsAccepted: false,
    processes: () => [{ name: 'comet', pid: comet.pid, delivers: true }, { name: 'surroundings', pid: surroundings.pid, delivers: false }],
    async [Symbol.asyncDispose]() {
      await comet.stop()
      await stopSurroundings()
    },
  }
}
