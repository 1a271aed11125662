import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { signToken } from '../../cli/token.js'
import { projectRoot } from '../../runtime/root.js'
import { finished, startCluster, type Cluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { Issuer } from '../support/issuer.js'
import { operate, RunningCommand } from '../support/operator.js'
import { until } from '../support/until.js'

t.setTimeout(230_000)

/** npm's name of the script, however this test is run. */
const NPM_START = { npm_lifecycle_event: 'start' }
const SECRET = 'a secret of this test alone, over 32 bytes long'

/** The commands that `npm start` proposes, by their names. */
function proposed({ output }: Cluster): Map<string, string> {
  const lines = output.slice(output.indexOf('Try next:'), output.indexOf('Live comments is ready'))
  return new Map(Array.from(lines.matchAll(/^ {2}(\S.*?) {2,}(\S.*)$/gm), ([, name, command]) => [name!, command!]))
}

/** Runs a proposed command where `npm start` was run, in a terminal of its own. */
async function shell(command: string, env: NodeJS.ProcessEnv = {}) {
  const child = spawn('bash', ['-c', command.replace('curl -N', 'curl -N --max-time 3')], { cwd: projectRoot, env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  return finished(child)
}

async function triesAll(t: Test, cluster: Cluster, env: NodeJS.ProcessEnv = {}): Promise<void> {
  const commands = proposed(cluster)
  t.same([...commands.keys()].filter(name => name !== 'a token'), ['open a page', 'watch', 'post', 'who has what'])
  const posted = await shell(commands.get('post')!, env)
  t.match(JSON.parse(posted.stdout), { content: 'hello', videoId: 'demo' }, commands.get('post')!)
  t.match((await shell(commands.get('watch')!, env)).stdout, /^event: ready$/m, commands.get('watch')!)
  t.equal((await fetch(commands.get('open a page')!)).status, 200)
  t.match(await shell(commands.get('who has what')!, env), { status: 0 })
}

t.test('with a secret, what npm start proposes works as printed, and so do the operators\' commands', async t => {
  const data = join(tempFolder(t), 'it\'s data')
  mkdirSync(data)
  const cluster = await startCluster(t, ['--edges', '1', '--dispatchers', '1'], { data, env: { ...NPM_START, AUTH_JWT_SECRET: SECRET, AUTH_REQUIRE_TO_WATCH: 'true', AUTH_AUDIENCE: 'live', AUTH_ISSUER: 'https://site.example' } })
  await triesAll(t, cluster)
  const file = join(data, 'author-token')
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.match(proposed(cluster).get('a token'), '(node start.js token makes others)')
  t.notMatch(cluster.output, readFileSync(file, 'utf8').split('.')[1]!, 'the token is not printed')

  const folder = t.testdir()
  symlinkSync(data, join(folder, 'data'))
  const token = (claims: object) => signToken(SECRET, { sub: 'bob', seconds: 60, audience: 'live', issuer: 'https://site.example', ...claims })
  const bob = await token({ name: 'Bob' })
  const tokenFile = join(folder, 'bob-token')
  writeFileSync(tokenFile, `${bob}\n`)
  const postedBy = async (argv: string[], env = {}) => (JSON.parse((await operate(['post', 'demo', 'hi', '--json', ...argv], { folder, env })).stdout) as { authorId: string }).authorId
  t.equal(await postedBy([]), 'ann', 'as npm start does')
  t.equal(await postedBy(['--token', bob]), 'bob')
  t.equal(await postedBy(['--token-file', 'bob-token']), 'bob')
  t.equal(await postedBy([], { LIVE_COMMENTS_TOKEN: bob }), 'bob')
  t.match(await operate(['export', 'demo', '--token-file', 'bob-token'], { folder }), { status: 0, stdout: /"authorName":"Bob"/ })
  const viewer = new RunningCommand(['tail', 'demo'], { folder, env: { LIVE_COMMENTS_TOKEN: bob } })
  await until(() => /ann {2}hi\n/.test(viewer.stdout) && /Bob {2}hi\n/.test(viewer.stdout))
  t.equal(await viewer.interrupt(), 0)

  // Nothing that another gateway might see is sent to it unasked.
  const url = proposed(cluster).get('open a page')!
  const error = async (...argv: string[]) => {
    const { status, stdout, stderr } = await operate([...argv, '--json'], { folder })
    t.equal(stdout, '')
    return { status, ...(JSON.parse(stderr.trimEnd().split('\n').at(-1)!) as object) }
  }
  t.match(await error('post', 'demo', 'x', '--gateway', url), { status: 1, error: { code: 'UNAUTHORIZED', message: /^a token is needed$/ } }, 'the code is said once')
  t.match(await error('tail', 'demo', '--gateway', url), { status: 1, error: { code: 'UNAUTHORIZED' } })
  t.match(await error('export', 'demo', '--token', await token({ videos: ['other'] })), { status: 1, error: { code: 'FORBIDDEN' } })
  t.match(await error('post', 'demo', 'x', '--token', bob, '--token-file', tokenFile), { status: 2, error: { code: 'BAD_USAGE' } })
  t.match(await error('post', 'demo', 'x', '--token', 'two words'), { status: 2, error: { code: 'BAD_USAGE', message: '--token is not a token' } })
  t.match(await error('post', 'demo', 'x', '--token-file', 'absent'), { status: 1, error: { code: 'FILE_UNREADABLE', message: /ENOENT/ } })

  await cluster.stop()
  t.notOk(existsSync(file))
})

t.test('with keys of a site, what npm start proposes works with a token of that site', async t => {
  const issuer = new Issuer({ only: 'ES256' })
  const jwks = join(tempFolder(t), 'jwks.json')
  writeFileSync(jwks, issuer.jwks())
  const cluster = await startCluster(t, ['--edges', '1', '--dispatchers', '1'], { env: { ...NPM_START, AUTH_JWKS_FILE: jwks } })
  t.match(proposed(cluster).get('a token'), /^export LIVE_COMMENTS_TOKEN=/)
  await triesAll(t, cluster, { LIVE_COMMENTS_TOKEN: await issuer.token('only') })
})
