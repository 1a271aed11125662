import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { projectRoot } from '../../runtime/root.js'
import { startCluster } from '../support/cluster.js'
import { plainNode } from '../support/program.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { until } from '../support/until.js'
import type { Watched } from './runtime-viewer.js'

t.setTimeout(120_000)

const VIEWER = fileURLToPath(new URL('runtime-viewer.js', import.meta.url))
const fetched = join(projectRoot, '.cache', 'runtimes', 'node_modules')
const cpu = `${process.platform}-${process.arch}`
const RUNTIMES: readonly { readonly name: string; readonly command: readonly string[]; readonly program?: string }[] = [
  { name: 'Node', command: ['env', ...plainNode()] },
  { name: 'Deno', program: join(fetched, '@deno', process.platform === 'linux' ? `${cpu}-glibc` : cpu, 'deno'), command: ['run', '--no-config', '--allow-net', '--allow-read'] },
  { name: 'Bun', program: join(fetched, '@oven', `bun-${cpu.replace('arm64', 'aarch64')}`, 'bin', 'bun'), command: ['run'] },
]

t.test('the client in every runtime: each comment once and in order, its line cut in the middle, and it lets its process end', async t => {
  const cluster = await startCluster(t, ['--edges', '1', '--dispatchers', '1'])
  for (const { name, command, program } of RUNTIMES) {
    const missing = program !== undefined && !existsSync(program) && 'setup.sh --for-long-tests could not fetch it for this machine'
    await t.test(name, { skip: missing }, async t => {
      const video = `in-${name}`
      for (let i = 0; i < 120; i++) await cluster.say(video, `before ${i}`)
      const proxy = await TcpProxy.open(t, Number(new URL(cluster.url).port))
      const [file, ...args] = program === undefined ? command : [program, ...command]
      const child = spawn(file!, [...args, VIEWER, `http://127.0.0.1:${proxy.port}`, video], { stdio: ['ignore', 'pipe', 'inherit'] })
      t.after(() => child.kill('SIGKILL'))
      const exited = new Promise<number | null>(resolve => child.once('exit', resolve))
      let output = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
      await until(() => output.startsWith('live\n') || child.exitCode !== null, { what: `${name} is live` })

      await cluster.say(video, 'cut')
      await until(async () => (await cluster.history(video)).some(({ content }) => content === 'from a runtime'), { what: `${name} posts` })
      proxy.refusing = true
      proxy.cut()
      for (let i = 0; i < 20; i++) await cluster.say(video, `meanwhile ${i}`)
      proxy.refusing = false
      await cluster.say(video, 'end')
      t.equal(await exited, 0)

      const watched = JSON.parse(output.slice('live\n'.length)) as Watched
      const all = (await cluster.history(video)).map(({ id }) => id)
      t.equal(all.length, 143)
      t.same(watched.told, all)
      t.same(watched.looped, all)
      t.same(watched.several, all)
      t.same(watched.history, all)
      t.ok(all.includes(watched.posted))
      t.ok(watched.states.includes('lost'), watched.states.join())
    })
  }
})
