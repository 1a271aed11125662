import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { projectRoot } from '../../runtime/root.js'
import { readCompose } from '../support/container.js'

const folder = join(projectRoot, 'deploy', 'systemd')
const compose = readCompose({ INTERNAL_TOKEN: 'a-token-for-this-test-alone' })
/** Part → the settings of its unit. */
const units = new Map(
  readdirSync(folder).map(name => {
    const part = /^live-comments-([a-z]+)@\.service$/.exec(name)![1]!
    const settings = readFileSync(join(folder, name), 'utf8').matchAll(/^([A-Za-z]+)=(.*)$/gm)
    return [part, { file: join(folder, name), settings: Object.fromEntries(Array.from(settings, ([, key, value]) => [key!, value!])) }] as const
  }),
)

const parts = ['dispatcher', 'edge', 'gateway']

t.test('every part has a unit, which runs it under the watchdog and starts it again for ever', async t => {
  t.same([...units.keys()].sort(), [...parts, 'zookeeper'])
  for (const part of parts) {
    const { settings } = units.get(part)!
    t.match(settings, { ExecStart: `/usr/bin/node start.js watchdog ${part}`, Restart: 'always', StartLimitIntervalSec: '0', KillMode: 'mixed', EnvironmentFile: '-/etc/live-comments/%i.env' }, part)
    t.notOk('WatchdogSec' in settings, 'it notifies nobody')
    t.ok(['NoNewPrivileges', 'ProtectSystem', 'User'].every(name => name in settings), part)
  }
})

t.test('a part is given as long to stop as in a container', async t => {
  for (const part of parts) t.equal(`${units.get(part)!.settings['TimeoutStopSec']}s`, compose.services[`${part}-1`]!.stop_grace_period, part)
})

t.test('a ZooKeeper is run by the script of its image, as the server that its name says, and may write its own data alone', async t => {
  const { settings } = units.get('zookeeper')!
  t.match(settings, { ExecStart: '/bin/sh /opt/live-comments/deploy/zookeeper/start.sh', Restart: 'always', StateDirectory: 'live-comments-zookeeper', ProtectSystem: 'strict', NoNewPrivileges: 'true' })
  const script = readFileSync(join(projectRoot, 'deploy', 'zookeeper', 'start.sh'), 'utf8')
  const set = Array.from(readFileSync(units.get('zookeeper')!.file, 'utf8').matchAll(/(ZOOKEEPER_[A-Z]+)=/g), ([, name]) => name!)
  t.same(new Set(set), new Set(['ZOOKEEPER_NUMBER', 'ZOOKEEPER_DATA', 'ZOOKEEPER_CLASSPATH', 'ZOOKEEPER_SERVERS']))
  for (const name of set) t.match(script, `\${${name}`.slice(2))
})

t.test('what holds viewers has the descriptors for them', async t => {
  t.ok(Number(units.get('gateway')!.settings['LimitNOFILE']) >= 2 * 15_000 + 500)
  t.ok(Number(units.get('edge')!.settings['LimitNOFILE']) >= 15_000 + 500)
})

t.test('systemd reads the units without a complaint', async t => {
  if (spawnSync('systemd-analyze', ['--version']).status !== 0) return t.pass('no systemd here; the files are held to the tests above')
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', ...[...units.values()].map(({ file }) => file)], { encoding: 'utf8' })
  // Where Node is elsewhere, that is no fault of a unit.
  t.same(stderr.split('\n').filter(line => line !== '' && !/Command \/usr\/bin\/node is not executable/.test(line)), [])
  if (stderr === '') t.equal(status, 0)
})
