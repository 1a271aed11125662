import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { ask } from '../../../registry/zookeeper/four-letter-word.js'
import { findJars, howToGet } from '../../../registry/zookeeper/jars.js'
import { startLocalServer } from '../../../registry/zookeeper/local-server.js'
import { tempFolder } from '../../support/folder.js'
import { until } from '../../support/until.js'
import { openZk } from '../../support/zookeeper.js'

const run = promisify(execFile)
const module = new URL('../../../registry/zookeeper/local-server.js', import.meta.url).href

t.test('it serves on loopback, stops, and has its data when it starts again', async t => {
  const folder = tempFolder(t)
  const first = await startLocalServer({ folder, heapMb: 128 })
  t.after(() => first.stop())
  t.match(first.connect, /^127\.0\.0\.1:\d+$/)
  t.match(await ask('127.0.0.1', first.port, 'srvr'), /Mode: standalone/)
  const zk = await openZk(t, first.connect)
  await zk.create('/kept', Buffer.from('x'))
  await first.stop()
  t.same(await first.exited, { code: 143, signal: null })
  t.equal(await ask('127.0.0.1', first.port, 'ruok'), '')

  const second = await startLocalServer({ folder, port: first.port, heapMb: 128 })
  t.after(() => second.stop())
  await zk.ready(AbortSignal.timeout(5_000))
  t.equal((await zk.getData('/kept')).data.toString(), 'x')
  await zk.close()
})

t.test('one left running by a crash is ended, then replaced', async t => {
  const folder = tempFolder(t)
  const script = `
    const { startLocalServer } = await import(${JSON.stringify(module)})
    console.log((await startLocalServer({ folder: process.argv[1], heapMb: 128 })).port)
    process.kill(process.pid, 'SIGKILL')`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script, folder]).catch(
    (error: { stdout: string }) => error,
  )
  const port = Number(stdout)
  t.equal(await ask('127.0.0.1', port, 'ruok'), 'imok', 'it outlives its starter')
  const server = await startLocalServer({ folder, heapMb: 128 })
  t.after(() => server.stop())
  t.equal(await ask('127.0.0.1', port, 'ruok'), '')
  t.equal(Number(readFileSync(join(folder, 'zookeeper.pid'), 'utf8')), server.pid)
})

t.test('a process that merely has the number of a dead server is left alone', async t => {
  const folder = tempFolder(t)
  const innocent = execFile(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  t.after(() => innocent.kill())
  writeFileSync(join(folder, 'zookeeper.pid'), String(innocent.pid))
  const server = await startLocalServer({ folder, heapMb: 128 })
  t.after(() => server.stop())
  t.equal(innocent.exitCode ?? innocent.signalCode, null)
})

t.test('a port that is taken is an error that names it', async t => {
  const taken = createServer().listen(0, '127.0.0.1')
  t.after(() => taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  await t.rejects(startLocalServer({ folder: tempFolder(t), port }), { message: `ZooKeeper cannot listen on port ${port}: EADDRINUSE` })
})

t.test('of two that start on one port at the same moment one serves, and the other does not take it for its own', async t => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  await new Promise(closed => taken.close(closed))
  const starts = await Promise.allSettled([0, 1].map(() => startLocalServer({ folder: tempFolder(t), port, heapMb: 128 })))
  for (const start of starts) if (start.status === 'fulfilled') t.after(() => start.value.stop())
  t.same(starts.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
})

t.test('a server that cannot start says why', async t => {
  const folder = tempFolder(t)
  await t.rejects(startLocalServer({ folder, heapMb: 1 }), {
    message: /ended while starting; its log, .*zookeeper\.log, ends:\n.*Too small/s,
  })
  t.notOk(existsSync(join(folder, 'zookeeper.pid')))
})

t.test('without Java or ZooKeeper it says to run setup.sh', async t => {
  t.throws(() => findJars([join(tempFolder(t), 'none')]), { message: /run \.\/setup\.sh/ })
  const { JAVA_HOME } = process.env
  process.env.JAVA_HOME = tempFolder(t)
  t.after(() => {
    if (JAVA_HOME === undefined) delete process.env.JAVA_HOME
    else process.env.JAVA_HOME = JAVA_HOME
  })
  await t.rejects(startLocalServer({ folder: tempFolder(t) }), { message: /needs Java.*run \.\/setup\.sh/ })
  t.match(howToGet('Java', false), /^install Java 17 .*--zookeeper/, 'an installed package has none')
  t.match(howToGet('ZooKeeper', false), /^install Maven.*--zookeeper/)
})

t.test('jars are found in each of the folders they come in', t => {
  const folders = { maven: tempFolder(t), debian: tempFolder(t), homebrew: tempFolder(t) }
  const fill = (folder: string, ...names: string[]) => names.forEach(name => writeFileSync(join(folder, name), ''))
  fill(folders.maven, 'zookeeper-3.9.5.jar', 'zookeeper-jute-3.9.5.jar', 'slf4j-simple-2.0.13.jar')
  fill(folders.debian, 'zookeeper.jar', 'slf4j-simple.jar', 'guava.jar')
  fill(folders.homebrew, 'zookeeper-3.9.3.jar', 'logback-classic-1.3.jar', 'slf4j-api.jar')
  const names = (folder: string) => findJars([folder]).split(':').map(jar => jar.slice(folder.length + 1)).sort()
  t.same(names(folders.maven), ['slf4j-simple-2.0.13.jar', 'zookeeper-3.9.5.jar', 'zookeeper-jute-3.9.5.jar'])
  t.same(names(folders.debian), ['slf4j-simple.jar', 'zookeeper.jar'])
  t.same(names(folders.homebrew), ['slf4j-api.jar', 'zookeeper-3.9.3.jar'])
  t.end()
})

t.test('it ends by force where it does not end by itself', async t => {
  const server = await startLocalServer({ folder: tempFolder(t), heapMb: 128 })
  process.kill(server.pid, 'SIGSTOP')
  await server.stop()
  t.same(await server.exited, { code: null, signal: 'SIGKILL' })
  await until(() => ask('127.0.0.1', server.port, 'ruok').then(answer => answer === ''))
})
