import { readFileSync, symlinkSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { CLUSTER, DISPATCHERS, DRAIN, EDGES, GATEWAYS, HOLDINGS, printHoldings, printNode, type ExpectedNodes } from '../../protocol/nodes.js'
import { NONCE_HEADER, PROOF_HEADER } from '../../protocol/wire.js'
import { judgeCounts, judgeVersions } from '../../cli/doctor/counts.js'
import type { Diagnosis } from '../../cli/doctor/examination.js'
import { lasting, merged, problem } from '../../cli/doctor/finding.js'
import { judgeNode } from '../../cli/doctor/node.js'
import { report } from '../../cli/doctor/report.js'
import { judgeZnodes, type Znodes } from '../../cli/doctor/znodes.js'
import { paint } from '../../cli/output.js'
import { printProof } from '../../runtime/peers/proof.js'
import { runIn, startCluster, type Cluster } from '../support/cluster.js'
import { dispatcherNode, edgeNode, gatewayNode } from '../support/nodes.js'
import { openHole } from '../support/hole.js'
import { operate } from '../support/operator.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'
import { openZk, startZooKeeper } from '../support/zookeeper.js'

t.setTimeout(230_000)

const NOW = Date.UTC(2026, 0, 1)

const metrics = ['live_registry_staleness_seconds 0', 'live_registry_edges 2', 'process_open_fds 30', 'process_max_fds 20000', 'live_tcp_notsent_lowat_bytes 16384'].join('\n')
const node = { kind: 'edge' as const, id: 'edge-1', instance: 'i1', internalUrl: 'http://10.0.0.1:9081', capacity: 15_000 }
const answers = { id: 'edge-1', instance: 'i1', clock: { aheadMs: 3, withinMs: 5 }, metrics }
const codes = (found: readonly { level: string; code: string }[]) => found.map(({ level, code }) => `${level} ${code}`)

t.test('what a node answers is judged', async t => {
  t.same(judgeNode(node, { answers }, 2), [])
  const with_ = (line: RegExp, text: string) => ({ answers: { ...answers, metrics: metrics.replace(line, text) } })
  const cases = [
    [{ answers: { ...answers, instance: 'i2' } }, 'problem node_is_another'],
    [{ answers: { ...answers, clock: { aheadMs: -1_200, withinMs: 5 } } }, 'problem clock_off'],
    [with_(/staleness_seconds 0/, 'staleness_seconds 7'), 'problem view_stale'],
    [with_(/open_fds 30/, 'open_fds 19000'), 'problem descriptors_low'],
    [with_(/max_fds 20000/, 'max_fds 1024'), 'problem descriptors_low'],
    [with_(/bytes 16384/, 'bytes 4294967295'), 'problem lowat_high'],
    [with_(/$/, '\nlive_tcp_migrate_req 0'), 'problem migrate_off'],
    [with_(/$/, '\nlive_tls_files_usable 0'), 'problem certificate_unusable'],
    [with_(/$/, `\nlive_tls_certificate_expires_timestamp_seconds ${NOW / 1000 + 6 * 86_400}`), 'problem certificate_expires'],
    [with_(/$/, `\nlive_tls_certificate_expires_timestamp_seconds ${NOW / 1000 - 1}`), 'problem certificate_expires'],
    [with_(/$/, '\nlive_hook_oldest_undelivered_seconds 61'), 'problem hook_lags'],
    [{ answers: { ...answers, notReady: 'the registry has not been read yet' } }, 'problem node_not_ready'],
    [{ failure: 'refused', status: undefined, code: 'ECONNREFUSED' }, 'problem node_refuses'],
    [{ failure: 'refused', status: undefined, code: 'EHOSTUNREACH' }, 'problem node_unreachable'],
    [{ failure: 'unconnected', status: undefined }, 'problem node_unreachable'],
    [{ failure: 'timeout', status: undefined }, 'problem node_silent'],
    [{ failure: 'status', status: 401 }, 'problem token_wrong'],
    [{ failure: 'status', status: 500 }, 'problem node_fails'],
    [{ failure: 'wire', status: 409 }, 'problem node_fails'],
  ] as const
  for (const [asked, expected] of cases) t.same(codes(judgeNode(node, asked, 2, NOW)), [expected])
  t.same(judgeNode(node, with_(/$/, `\nlive_tls_files_usable 1\nlive_tls_certificate_expires_timestamp_seconds ${NOW / 1000 + 8 * 86_400}`), 2, NOW), [], 'a certificate that is good for a week')
  t.same(judgeNode({ ...node, state: 'draining' }, { answers: { ...answers, notReady: 'draining' } }, 2), [], 'somebody asked for that')
  t.same(judgeNode(node, { answers: { ...answers, clock: { aheadMs: 1_200, withinMs: 400 } } }, 2), [], 'a slow answer proves nothing of a clock')
  t.same(codes(judgeNode({ ...node, kind: 'gateway' }, { answers }, 3)), ['problem view_stale'], 'a gateway that misses an edge')
  const loopback = { ...node, internalUrl: 'http://127.0.0.1:9081' }
  t.same(codes(judgeNode(loopback, with_(/bytes 16384/, 'bytes 4294967295'), 2)), ['note lowat_high'], 'a development machine is told, not blamed')
})

t.test('what the registry shows is judged', async t => {
  const znode = <T>(path: string, content: T | undefined, given: object = {}) => ({ path, id: path.split('/').at(-1)!, bytes: 100, ephemeral: true, modifiedAt: 0, content, ...given })
  const healthy: Znodes = {
    gateways: [znode(`${GATEWAYS}/gateway-1`, gatewayNode('gateway-1'))],
    edges: [znode(`${EDGES}/edge-1`, edgeNode('edge-1'))],
    holdings: [znode(`${HOLDINGS}/edge-1`, { instance: 'i1', videos: new Map() })],
    dispatchers: [znode('/dispatchers/d', edgeNode('d'))],
    wishes: [znode(`${DRAIN}/edge-1`, { instance: 'i1' }), znode(`${DRAIN}/gateway-1`, { instance: 'i1' })],
  }
  const judge = (given: Partial<Znodes>) => judgeZnodes({ ...healthy, ...given }, { servers: 'zk:2181', chroot: '/c' })
  t.same(judge({}), [])
  t.same(codes(judge({ holdings: [znode(`${HOLDINGS}/edge-1`, { instance: 'i1', videos: new Map() }, { bytes: 850_000 })] })), ['problem znode_big'])
  t.same(codes(judge({ holdings: [znode(`${HOLDINGS}/edge-1`, { instance: 'i0', videos: new Map() })] })), ['problem znode_left_over'])
  t.same(codes(judge({ wishes: [znode(`${DRAIN}/edge-1`, { instance: 'i0' })] })), ['note wish_left_over'])
  const [stays] = judge({ dispatchers: [znode('/dispatchers/d', edgeNode('d'), { ephemeral: false })] })
  t.match(stays, { code: 'znode_left_over', subjects: ['/dispatchers/d'], advice: 'zkCli.sh -server zk:2181 delete /c/dispatchers/d' })
})

t.test('the nodes that are announced are compared with those that should be there', async t => {
  const znode = (id: string, given: object = {}) => ({ path: `/${id}`, id, bytes: 100, ephemeral: true, modifiedAt: 0, content: edgeNode(id), ...given })
  const nodes = (gateways: number, edges: number, dispatchers: number): Znodes => {
    const some = (count: number) => Array.from({ length: count }, (_, i) => znode(`n${i}`))
    return { gateways: some(gateways), edges: some(edges), dispatchers: some(dispatchers), holdings: [], wishes: [] }
  }
  const judge = (znodes: Znodes, expected: ExpectedNodes) => [...judgeCounts(znodes, expected)].map(({ level, code, subjects, what }) => `${level} ${code} ${subjects.join()}: ${what}`)
  t.same(judge(nodes(2, 3, 2), {}), [])
  t.same(judge(nodes(2, 3, 2), { gateways: 2, edges: 3, dispatchers: 2 }), [])
  t.same(judge(nodes(1, 1, 2), { gateways: 2, edges: 3, dispatchers: 2 }), ['problem nodes_missing /gateways: 1 of 2 gateways is gone: 1 is announced', 'problem nodes_missing /edges: 2 of 3 edges are gone: 1 is announced'])
  t.same(judge(nodes(2, 4, 2), { edges: 3 }), ['note nodes_unexpected /edges: 4 edges are announced, 3 expected'])
  t.match([...judgeCounts(nodes(2, 4, 2), { edges: 3 })], [{ advice: /: expect --edges 4$/ }])
  t.same(judge(nodes(0, 0, 0), { edges: 3 }), [
    'note nobody_announced /gateways: no gateway is announced: nobody reaches the cluster',
    'problem nobody_announced /edges: none of 3 edges is announced: nobody can watch',
    'problem nobody_announced /dispatchers: no dispatcher is announced: nobody can post',
  ])
  t.same(judge(nodes(0, 1, 1), { gateways: 0 }), [], 'none should be there')
  const rubbish = [znode('odd', { content: undefined }), znode('closed', { content: undefined, refused: true })]
  t.same(judge({ ...nodes(1, 0, 1), edges: rubbish }, { edges: 2 }), ['problem nodes_missing /edges: 1 of 2 edges is gone: 1 is announced'], 'rubbish is no edge, one that we may not read is')

  const other = { ...nodes(1, 2, 0), dispatchers: [znode('d', { content: dispatcherNode('d', { version: '0.2.0' }) })] }
  t.match([...judgeVersions(other)], [{ level: 'note', code: 'versions_differ', subjects: ['d'], what: 'runs version 0.2.0; most nodes run 0.1.0' }])
})

t.test('findings that last are kept, the same ones said once, problems first', async t => {
  const a = problem('node_refuses', 'a', 'is gone', 'start it')
  const b = problem('node_refuses', 'b', 'is gone', 'start it')
  t.same(lasting([a], [a, b]), [a])
  t.same(merged([{ ...a, level: 'note' }, a, b]).map(({ level, subjects }) => [level, subjects]), [['problem', ['a', 'b']], ['note', ['a']]])
  const diagnosis: Diagnosis = { healthy: false, zookeeper: { connect: 'x', sessionMs: 3, readMs: 1 }, asked: { gateways: 1, dispatchers: 1, edges: 8 }, findings: merged('abcdefg'.split('').map(id => ({ ...a, subjects: [id] }))) }
  t.equal(report(diagnosis, paint(false)), 'problem  a, b, c, d, e and 2 more: is gone\n         start it\n\n1 problem. ZooKeeper: session in 3 ms, reads in 1 ms. Asked 8 edges, 1 dispatcher and 1 gateway.\n')
})

t.test('doctor finds a healthy cluster healthy, and names each thing that is wrong', async t => {
  const zookeeper = await startZooKeeper(t)
  const connect = `${zookeeper.connect}/doctor`
  const cluster = await startCluster(t, ['--zookeeper', connect, '--edges', '2', '--dispatchers', '1', '--no-restart', '--watchdog', '0'])
  const zk = await openZk(t, connect)
  const { doctor, timed } = doctorOf(t, cluster)
  await watchReady(t, cluster.stream('demo'))

  await t.test('healthy, in under two seconds', async t => {
    const { status, stdout, stderr, tookMs } = await timed()
    t.same([status, stderr], [0, ''])
    t.match(stdout, /^Healthy\..* Asked 2 edges, 1 dispatcher and 1 gateway\.$/m)
    // Two seconds, of which the program's own start is a third on a machine that has nothing else to do.
    const { tookMs: startMs } = await timed('--help')
    t.ok(tookMs < 3 * startMs + 1_000, `${Math.round(tookMs)} ms, ${Math.round(startMs)} of them to start`)
    t.match(JSON.parse((await doctor('--json')).stdout), { healthy: true, asked: { edges: 2 } })
  })

  const token = readFileSync(join(cluster.data, 'internal-token'), 'utf8').trim()

  await t.test('away from its folder too: all of its nodes are in the registry', async t => {
    t.match(await operate(['doctor', '--zookeeper', connect, '--token', token]), { status: 0, stdout: /^Healthy\..* Asked 2 edges, 1 dispatcher and 1 gateway\.$/m })
  })

  const finds = async (t: Test, ...expected: [code: string, subject: string][]) => {
    const { status, stdout } = await doctor('--json')
    t.equal(status, 1)
    const { healthy, findings } = JSON.parse(stdout) as Diagnosis
    t.equal(healthy, false)
    const found = findings.filter(({ level }) => level === 'problem').flatMap(({ code, subjects }) => subjects.map(subject => [code, subject]))
    t.same(found.sort(), [...expected].sort())
    for (const { advice } of findings) t.ok(advice.length > 20)
  }

  await t.test('the wrong token', async t => {
    const { status, stdout } = await doctor('--token', 'not the token at all')
    t.equal(status, 1)
    t.match(stdout, /problem {2}gateway-1, edge-1, edge-2, dispatcher-1: does not accept our internal token\n +Give the token with --token/)
  })

  await t.test('rubbish, an entry of no session, and holdings of no edge', async t => {
    await zk.create(`${EDGES}/odd`, Buffer.from('rubbish'), { ephemeral: true })
    await zk.create(`${HOLDINGS}/ghost`, printHoldings({ instance: 'i1', videos: new Map([['demo', 3]]) }))
    await finds(t, ['znode_rubbish', '/edges/odd'], ['znode_left_over', '/holdings/ghost'])
    await zk.remove(`${EDGES}/odd`)
    await zk.remove(`${HOLDINGS}/ghost`)
  })

  await t.test('an edge whose clock is wrong, and whose announcement is not what it holds', async t => {
    const liar = await fakeNode(t, { '/readyz': {}, '/internal/ping': () => ({ id: 'liar', instance: 'i1', now: Date.now() - 90_000 }), '/metrics': {}, '/internal/holdings': { viewers: 1, videos: { cats: 1 } } }, token)
    await zk.create(`${EDGES}/liar`, printNode(edgeNode('liar', { internalUrl: liar })), { ephemeral: true })
    await zk.create(`${HOLDINGS}/liar`, printHoldings({ instance: 'i1', videos: new Map([['dogs', 1]]) }), { ephemeral: true })
    await zk.create(`${GATEWAYS}/gateway-9`, printNode(gatewayNode('gateway-9', { internalUrl: liar })), { ephemeral: true })
    await finds(t, ['clock_off', 'liar'], ['holdings_differ', 'liar'], ['node_is_another', 'gateway-9'])
    const { stdout } = await doctor()
    t.match(stdout, '/gateways: 2 gateways are announced, 1 expected\n')
    t.match(stdout, '/edges: 3 edges are announced, 2 expected\n')
    t.match(stdout, /its clock is 90\.\d s behind this machine's[\s\S]*differ for dogs, cats\n/)
    for (const path of [`${HOLDINGS}/liar`, `${EDGES}/liar`, `${GATEWAYS}/gateway-9`]) await zk.remove(path)
  })

  await t.test('an entry at whose URL nobody proves that he is a part', async t => {
    const stranger = await fakeNode(t, { '/readyz': {}, '/internal/ping': { id: 'gateway-9', instance: 'i1' }, '/metrics': {} })
    await zk.create(`${GATEWAYS}/gateway-9`, printNode(gatewayNode('gateway-9', { internalUrl: stranger })), { ephemeral: true })
    await finds(t, ['node_unproven', 'gateway-9'])
    await zk.remove(`${GATEWAYS}/gateway-9`)
  })

  await t.test('a node whose host is unknown, and one whose host drops what is sent to it', async t => {
    const hole = `http://127.0.0.1:${await openHole(t)}`
    for (const [id, internalUrl] of [['gateway-8', hole], ['gateway-9', 'http://no-such-host.invalid:1']] as const) await zk.create(`${GATEWAYS}/${id}`, printNode(gatewayNode(id, { internalUrl })), { ephemeral: true })
    await finds(t, ['node_unreachable', 'gateway-8'], ['node_unreachable', 'gateway-9'])
    t.match((await doctor()).stdout, `gateway-8: cannot be reached from here at ${hole} (no connection within 1 s)\n`)
    for (const id of ['gateway-8', 'gateway-9']) await zk.remove(`${GATEWAYS}/${id}`)
  })

  await t.test('dispatchers that have different stores, one that is refused, one that is damaged, and nothing of older ones', async t => {
    const store = { path: '/data/comments.db', found: { id: 's1', generation: 'g1', place: '1:2', stored: 7, acceptedHere: true }, expected: null, refused: null, cannotStore: null, check: 'ok', later: true }
    const dispatcher = async (id: string, given: object | undefined) => {
      const internalUrl = await fakeNode(t, { '/readyz': {}, '/internal/ping': { id, instance: 'i1' }, '/metrics': {}, ...(given && { '/internal/store': { ...store, ...given } }) }, token)
      await zk.create(`${DISPATCHERS}/${id}`, printNode(dispatcherNode(id, { internalUrl })), { ephemeral: true })
    }
    await dispatcher('d5', { path: 'cassandra://c1:9042/live', found: null, cannotStore: 'no answer in time', check: 'unfinished' })
    await dispatcher('d6', undefined)
    await dispatcher('d7', {})
    await dispatcher('d8', { refused: 'store s0 is expected', cannotStore: 'store s0 is expected', check: null })
    await dispatcher('d9', { found: { ...store.found, id: 's2' }, cannotStore: 'the disk is full', check: 'page 5 is damaged' })
    await finds(t, ['store_unavailable', 'd5'], ['store_refused', 'd8'], ['store_unavailable', 'd9'], ['store_damaged', 'd9'], ...['d7', 'd9', 'dispatcher-1'].map((id): [string, string] => ['stores_differ', id]))
    const { stdout } = await doctor()
    t.match(stdout, "d8: does not take /data/comments.db for the cluster's store: store s0 is expected\n")
    t.match(stdout, /d5: cannot store into cassandra:\/\/c1:9042\/live: no answer in time\n *What to do about each reason is in docs\/operators\.md/)
    t.match(stdout, 'd9: cannot store into /data/comments.db: the disk is full\n')
    t.match(stdout, 'd9: /data/comments.db is damaged: page 5 is damaged\n')
    t.match(stdout, /d7, d9, dispatcher-1: have different stores: d7 has s1, d9 has s2, dispatcher-1 has \w+\n/)
    for (const id of ['d5', 'd6', 'd7', 'd8', 'd9']) await zk.remove(`${DISPATCHERS}/${id}`)
  })

  await t.test('a registry that is another cluster\'s than the folder says', async t => {
    const { data } = await zk.getData(CLUSTER)
    await zk.setData(CLUSTER, printNode({ id: 'other', name: 'another' }))
    await finds(t, ['cluster_is_another', connect])
    t.match((await doctor()).stdout, new RegExp(`${connect}: is the registry of another \\(other\\) now, not of .*Asked 2 edges, 1 dispatcher and 1 gateway\\.\n$`, 's'))
    await zk.setData(CLUSTER, data)
  })

  await t.test('a frozen dispatcher, a killed edge', async t => {
    const frozen = cluster.kill('dispatcher-1', 'SIGSTOP')
    t.after(() => process.kill(frozen, 'SIGCONT'))
    cluster.kill('edge-2')
    await until(() => cluster.member('edge-2').pid === null)
    // Their entries go with their sessions.
    await finds(t, ['node_silent', 'dispatcher-1'], ['node_refuses', 'edge-2'], ['node_down', 'edge-2'])
    await until(async () => !(await zk.exists(`${EDGES}/edge-2`)) && !(await zk.exists('/dispatchers/dispatcher-1')), { what: 'both sessions have ended' })
    await until(async () => (await fetch(`${cluster.member('edge-1').internalUrl}/readyz`)).status === 503, { what: 'edge-1 misses the dispatchers' })
    await finds(t, ['nobody_announced', '/dispatchers'], ['node_unannounced', 'dispatcher-1'], ['nodes_missing', '/edges'], ['node_down', 'edge-2'], ['node_not_ready', 'edge-1'])
    const { stdout } = await doctor()
    t.match(stdout, '/edges: 1 of 2 edges is gone: 1 is announced\n')
    t.match(stdout, '/dispatchers: none of 1 dispatcher is announced: nobody can post\n')
    t.match(stdout, /edge-1: is not ready: no dispatcher has answered for \d/)
  })

  await t.test('a frozen ZooKeeper, and none', async t => {
    zookeeper.freeze()
    await finds(t, ['zookeeper_away', zookeeper.connect])
    t.match((await doctor()).stdout, /accepts connections but does not answer/)
    zookeeper.thaw()
    const { status, stdout } = await doctor('--zookeeper', '127.0.0.1:1/x')
    t.equal(status, 1)
    t.match(stdout, /127\.0\.0\.1:1: nothing listens where ZooKeeper should \(ECONNREFUSED, from --zookeeper\)/)
  })
})

/** Doctor as it is run where the cluster's ./data is. */
function doctorOf(t: Test, cluster: Cluster) {
  const folder = t.testdir()
  symlinkSync(cluster.data, join(folder, 'data'))
  return {
    doctor: (...flags: string[]) => operate(['doctor', ...flags], { folder }),
    /** The same in a process of its own. */
    timed: async (...flags: string[]) => {
      const since = performance.now()
      return { ...(await runIn(folder, ['registry', 'doctor', ...flags])), tookMs: performance.now() - since }
    },
  }
}

/** Something that answers as a node would. @param token what it proves to have; without, it offers no proof @returns its URL */
async function fakeNode(t: Test, routes: Readonly<Record<string, object | (() => object)>>, token?: string): Promise<string> {
  let url = ''
  const server: Server = createServer((request, response) => {
    const nonce = request.headers[NONCE_HEADER]
    const proof = token === undefined || typeof nonce !== 'string' ? undefined : printProof(token, { instance: 'i1', url }, nonce)
    if (proof !== undefined) response.setHeader(PROOF_HEADER, proof)
    const route = routes[request.url!]
    response.statusCode = route === undefined ? 404 : 200
    response.end(JSON.stringify(typeof route === 'function' ? (route as () => object)() : route))
  })
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}`
  return url
}
