import t from 'tap'
import { resolve } from 'node:path'
import { readOptions } from '../../cluster/options.js'
import { ConfigError } from '../../runtime/config.js'

t.test('without flags the cluster is the one the README shows', async t => {
  t.same(readOptions([]), {
    gateways: 1,
    dispatchers: 2,
    edges: 3,
    port: 8080,
    data: resolve('data'),
    store: 'sqlite',
    zookeepers: 1,
    zookeeper: undefined,
    restart: true,
    watchdogMs: 5000,
  })
})

t.test('every flag is read', async t => {
  const argv = '--gateways 2 --dispatchers 3 --edges 4 --port 0 --data /tmp/x --store sqlite --zookeeper zk:2181/chroot --no-restart --watchdog 0.5'
  t.same(readOptions(argv.split(' ')), {
    gateways: 2,
    dispatchers: 3,
    edges: 4,
    port: 0,
    data: '/tmp/x',
    store: 'sqlite',
    zookeepers: 1,
    zookeeper: 'zk:2181/chroot',
    restart: false,
    watchdogMs: 500,
  })
})

t.test('the store is a file, or in Cassandra', async t => {
  t.equal(readOptions(['--store', 'cassandra'])?.store, 'cassandra')
  t.throws(() => readOptions(['--store', 'redis']), /^--store: must be sqlite or cassandra$/m)
})

t.test('how many servers a ZooKeeper of its own has is 1, 3 or 5, and nothing where another is named', async t => {
  t.equal(readOptions(['--zookeepers', '3'])?.zookeepers, 3)
  for (const count of ['0', '2', '7', 'three']) t.throws(() => readOptions(['--zookeepers', count]), /^--zookeepers: must be 1, 3 or 5$/m, count)
  t.throws(() => readOptions(['--zookeepers', '3', '--zookeeper', 'zk:2181']), /--zookeepers: .*--zookeeper names one/)
})

t.test('one message names every bad flag', async t => {
  const argv = '--gateways none --edges 0 --port 70000 --store mongo --zookeeper /chroot-alone --watchdog soon --colour red --port'.split(' ')
  try {
    readOptions(argv.slice(0, -1))
    t.fail('accepted')
  } catch (error) {
    t.ok(error instanceof ConfigError)
    const lines = (error as Error).message.split('\n')
    for (const flag of ['--gateways', '--edges', '--port', '--store', '--zookeeper', '--watchdog', '--colour']) {
      t.equal(lines.filter(line => line.startsWith(`${flag}:`)).length, 1, flag)
    }
    t.notMatch((error as Error).message, '--dispatchers')
  }
  t.throws(() => readOptions(['--port']), /--port/)
  t.throws(() => readOptions(['stray']), /stray/)
})
