import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ports } from '../../cluster/ports.js'
import { Child, temporaryFolder } from './child.js'
import { NotInstalledError, versionOf } from './installed.js'
import { publishTarget, sseTarget } from './publish.js'
import type { RunningSystem } from './system.js'

const GET_IT = 'set CENTRIFUGO_BIN to the binary of Centrifugo 6: https://github.com/centrifugal/centrifugo/releases'
const API_KEY = 'bench'
const CHANNEL = 'comments'

/** Centrifugo 6 with its memory engine and unidirectional SSE; anyone may connect and subscribe, as with our cluster
 * while identity is off. */
export async function startCentrifugo(env: NodeJS.ProcessEnv): Promise<RunningSystem> {
  const binary = env['CENTRIFUGO_BIN']
  if (!binary) throw new NotInstalledError(GET_IT)
  const version = versionOf(binary, ['version'], /v?(\d+\.\d+\.\d+)/, GET_IT)
  const port = await new Ports().take('127.0.0.1')
  const folder = temporaryFolder()
  const file = join(folder.path, 'config.json')
  writeFileSync(
    file,
    JSON.stringify({
      http_server: { address: '127.0.0.1', port: String(port) },
      http_api: { key: API_KEY },
      client: { insecure: true, allow_anonymous_connect_without_token: true },
      channel: { without_namespace: { allow_subscribe_for_client: true, allow_subscribe_for_anonymous: true } },
      uni_sse: { enabled: true },
      log: { level: 'error' },
    }),
  )
  const server = new Child(binary, ['-c', file])
  await server.listening(port, folder.remove)
  const subscribe = encodeURIComponent(JSON.stringify({ subs: { [CHANNEL]: {} } }))
  return {
    name: 'Centrifugo',
    about: `${version}, memory engine, unidirectional SSE`,
    streams: [{ ...sseTarget(port, `/connection/uni_sse?cf_connect=${subscribe}`), ready: '"connect"' }],
    posts: [publishTarget(port, { line: 'POST /api/publish', headers: { 'content-type': 'application/json', 'x-api-key': API_KEY }, prefix: `{"channel":"${CHANNEL}","data":`, suffix: '}' })],
    stampsAccepted: false,
    processes: () => [{ name: 'centrifugo', pid: server.pid, delivers: true }],
    async [Symbol.asyncDispose]() {
      await server.stop()
      folder.remove()
    },
  }
}
