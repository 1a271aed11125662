import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import cassandra from 'cassandra-driver'
import t, { type Test } from 'tap'
import { storeConflicts } from '../../../dispatcher/config.js'
import { parseCassandraUrl } from '../../../dispatcher/store/cassandra/address.js'
import { bucketOf, emptyBucket, isFull, MAX_BUCKET_BYTES, MAX_BUCKET_MS, newestId, type Bucket } from '../../../dispatcher/store/cassandra/bucket.js'
import { callErrorOf } from '../../../dispatcher/store/cassandra/call-error.js'
import type { Chain } from '../../../dispatcher/store/cassandra/chain.js'
import { Group } from '../../../dispatcher/store/cassandra/group.js'
import { openCassandra } from '../../../dispatcher/store/cassandra/open.js'
import { bucketsBetween } from '../../../dispatcher/store/cassandra/reader.js'
import { placeOf, Statements } from '../../../dispatcher/store/cassandra/statements.js'
import { NO_ACTS } from '../../../dispatcher/store/cassandra/video-state.js'
import { MAX_CURSOR, nextId } from '../../../protocol/id.js'
import { makeCertificate } from '../../support/certificate.js'
import { tempFolder } from '../../support/folder.js'
import { draft } from '../cast.js'

const NOW = Date.UTC(2026, 5, 1)
const endingIn = (last: Bucket): Chain => ({ last, kept: [], before: NO_ACTS })
const { errors, types } = cassandra

t.test('a URL names hosts, keyspace, data centre, user and TLS', async t => {
  t.same(parseCassandraUrl('cassandra://one,two:9999,[::1]/live?dc=dc-1'), { contactPoints: ['one:9042', 'two:9999', '[::1]:9042'], hosts: ['one', 'two', '[::1]'], keyspace: 'live', dataCentre: 'dc-1', user: undefined, tls: false })
  t.match(parseCassandraUrl('cassandra://ann%40x@one/live?dc=a&tls=on'), { user: 'ann@x', tls: true })
})

t.test('a wrong URL is refused by the rule that it breaks, and no password is repeated', async t => {
  for (const [url, rule] of [
    ['cassandra:', /^must be cassandra:/],
    ['cassandra://one', /^must be cassandra:/],
    ['cassandra://one/live', /^must be cassandra:/],
    ['cassandra://one/live?x=1', /x is no option/],
    ['cassandra://one/live?tls=on', /^must name the data centre/],
    ['cassandra://one/Live?dc=a', /^must name a keyspace/],
    ['cassandra://one/live?dc=a&tls=yes', /^tls must be on or off/],
    ['cassandra://one:0/live?dc=a', /^must be cassandra:/],
    ['cassandra://one,,two/live?dc=a', /^must be cassandra:/],
    ['cassandra://one/live?dc=a&dc=b', /^must name dc once/],
    ['cassandra://one/live?dc=a&tls=on&tls=off', /^must name tls once/],
    ['cassandra://100%@one/live?dc=a', /^must name the user in percent-encoding/],
  ] as const) t.throws(() => parseCassandraUrl(url), { message: rule }, url)
  t.throws(() => parseCassandraUrl('cassandra://ann:secret@one/live?dc=a'), { message: /^(?!.*secret).*STORE_PASSWORD_FILE/ })
})

t.test('the variables of a store must fit together', async t => {
  const url = 'cassandra://ann@one/live?dc=a&tls=on'
  t.same(storeConflicts({ STORE_URL: url, STORE_PASSWORD: 'x', STORE_CA_FILE: 'y' }), [])
  t.match(storeConflicts({ STORE_URL: url, STORE_PASSWORD: 'x', STORE_PASSWORD_FILE: 'y' }), [/^STORE_PASSWORD: must not be set together/])
  t.match(storeConflicts({ STORE_PASSWORD: 'x', STORE_CA_FILE: 'y' }), [/^STORE_PASSWORD: needs/, /^STORE_CA_FILE: needs/])
})

t.test('what an error means: only what says that nothing was done is certain', async t => {
  const response = (code: number, more: object = {}) => Object.assign(new errors.ResponseError(code, 'words'), more)
  const { responseErrorCodes: codes, consistencies } = types
  const noHost = (...causes: Error[]) => new errors.NoHostAvailableError(Object.fromEntries(causes.map((cause, i) => [`10.0.0.${i}:9042`, cause])))
  for (const [error, unknown] of [
    [response(codes.unavailableException, { consistencies: consistencies.localSerial, required: 2, alive: 1 }), false],
    [response(codes.unavailableException, { consistencies: consistencies.localQuorum, required: 2, alive: 1 }), true],
    [response(codes.invalid), false],
    [response(codes.overloaded), true],
    [response(codes.writeTimeout), true],
    [response(0x1700), true],
    [new errors.OperationTimedOutError('late'), true],
    [new errors.AuthenticationError('no'), false],
    [Object.assign(new Error('reset'), { isSocketError: true }), true],
    [Object.assign(new Error('reset'), { isSocketError: true, requestNotWritten: true }), false],
    [noHost(new Error('connect ECONNREFUSED')), false],
    [noHost(new Error('connect ECONNREFUSED'), response(codes.writeTimeout)), true],
  ] as const) t.equal(callErrorOf(error).unknown, unknown, String(error))
  t.equal(callErrorOf(noHost(new Error('connect ECONNREFUSED 10.0.0.0:9042'))).message, 'no node answers: 10.0.0.0:9042: connect ECONNREFUSED 10.0.0.0:9042')
  t.equal(callErrorOf(response(codes.unavailableException, { consistencies: consistencies.localSerial, required: 2, alive: 1 })).message, 'too few replicas are up: 1 of the 2 that it takes')
  t.equal(callErrorOf(new errors.NoHostAvailableError({}, 'No host could be resolved')).message, 'no node can be reached: none of the hosts\' names is known here')
  const noTls = Object.assign(new Error('80AC8A3D2A7F0000:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../ssl3_record.c:350:'), { code: 'ERR_SSL_WRONG_VERSION_NUMBER' })
  t.equal(callErrorOf(noHost(noTls)).message, 'no node answers: 10.0.0.0:9042: ERR_SSL_WRONG_VERSION_NUMBER: it does not speak TLS')
})

t.test('a bucket begins after the id that names it, and is cut by size and by time', async t => {
  t.equal(newestId(emptyBucket(7)), 7)
  t.same(bucketOf(7, undefined), emptyBucket(7))
  const first = nextId(NOW, 0)
  const bucket = bucketOf(0, { head: first + 5, first, bytes: 900, next: null, fence: null })
  t.equal(newestId(bucket), first + 5)
  t.equal(isFull(bucket, nextId(NOW + 1_000, bucket.head!)), false)
  t.equal(isFull({ ...bucket, bytes: MAX_BUCKET_BYTES }, nextId(NOW, bucket.head!)), true)
  t.equal(isFull(bucket, nextId(NOW + MAX_BUCKET_MS, bucket.head!)), true)
  t.equal(isFull({ ...emptyBucket(7), bytes: MAX_BUCKET_BYTES }, nextId(NOW, 7)), false, 'an empty one is never cut: its successor would have its name')
})

t.test('which buckets may hold an id of a range', async t => {
  const buckets = [300, 200, 100, 0]
  t.same(bucketsBetween(buckets, 0, MAX_CURSOR), buckets)
  t.same(bucketsBetween(buckets, 100, 200), [100])
  t.same(bucketsBetween(buckets, 99, 201), [200, 100, 0])
  t.same(bucketsBetween(buckets, 300, MAX_CURSOR), [300])
  t.same(bucketsBetween(buckets, 0, 100), [0])
  t.same(bucketsBetween(buckets, 5, 0), [])
})

t.test('a group: the first draft of a key makes the comment, and every draft gets an outcome', async t => {
  const statements = new Statements('live')
  const bucket: Bucket = { ...emptyBucket(0), head: 40, first: 10, bytes: 100 }
  const one = draft('v', 'one')
  const group = new Group([one, { ...one }, { ...one, content: 'other' }, draft('v', 'two')], 0)
  const attempt = group.attempt(statements, 'v', endingIn(bucket))!
  t.equal(attempt.statements.length, 1 + 2 * 2, 'the head, and a comment and its key each')
  t.match(attempt.bucket, { head: 42, first: 10 })
  group.created(attempt.made)
  t.ok(group.isDone)
  t.match(group.outcomes, [{ kind: 'created', comment: { id: 41 }, prev: 40 }, { kind: 'repeated', comment: { id: 41 } }, { kind: 'reused' }, { kind: 'created', comment: { id: 42 }, prev: 41 }])
})

t.test('a group in doubt: what an attempt of ours has made is ours, the rest is unknown, and nothing expires', async t => {
  const statements = new Statements('live')
  const [mine, theirs, late] = [draft('v', 'mine'), draft('v', 'theirs'), { ...draft('v', 'late'), deadline: 5 }]
  const group = new Group([mine, theirs, late], 0)
  const attempt = group.attempt(statements, 'v', endingIn(emptyBucket(0)))!
  const name = attempt.statements[2]!.params.at(-1) as string
  group.inDoubt = true
  group.expire(10)
  const made = attempt.made.get(placeOf(mine))!
  group.found(new Map([[placeOf(mine), { stored: made, attempt: name, said: undefined }], [placeOf(theirs), { stored: attempt.made.get(placeOf(theirs))!, attempt: 'of another', said: undefined }]]))
  t.notOk(group.isDone)
  group.end('no answer in time')
  t.match(group.outcomes, [{ kind: 'created', comment: { id: 1 }, prev: 0 }, { kind: 'repeated' }, { kind: 'unknown', reason: 'no answer in time' }])
  t.equal(new Group([mine], 0).attempt(statements, 'v', endingIn({ ...emptyBucket(0), head: MAX_CURSOR })), undefined, 'no id is left')
})

/** What opening it fails with. */
async function reasonOf(t: Test, config: { STORE_URL: string; STORE_CA_FILE?: string }): Promise<string> {
  const store = openCassandra(config, {})
  t.teardown(() => store.close())
  return store.open().then(() => 'nothing', (error: { reason?: string }) => String(error.reason))
}

t.test('a certificate that is not trusted, or is another\'s, is said; one that is, is taken', async t => {
  const folder = tempFolder(t)
  const { certificate, key } = makeCertificate(folder)
  const server = createTlsServer({ cert: readFileSync(certificate), key: readFileSync(key) }, socket => socket.on('error', () => {}).once('data', () => socket.end()))
  server.on('tlsClientError', () => {})
  t.teardown(() => server.close())
  await once(server.listen(0, '0.0.0.0'), 'listening')
  const { port } = server.address() as AddressInfo
  const url = (host: string) => `cassandra://${host}:${port}/live?dc=a&tls=on`
  t.match(await reasonOf(t, { STORE_URL: url('127.0.0.1') }), /DEPTH_ZERO_SELF_SIGNED_CERT/)
  t.match(await reasonOf(t, { STORE_URL: url('127.0.0.2'), STORE_CA_FILE: certificate }), /ERR_TLS_CERT_ALTNAME_INVALID/)
  t.notMatch(await reasonOf(t, { STORE_URL: url('localhost'), STORE_CA_FILE: certificate }), /CERT/)
})

t.test('a Cassandra that is silent, or is none, is said within the time of a call', async t => {
  const sockets = new Set<{ destroy: () => void }>()
  const silent = createServer(socket => sockets.add(socket))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  await once(silent.listen(0, '127.0.0.1'), 'listening')
  const began = performance.now()
  t.equal(await reasonOf(t, { STORE_URL: `cassandra://127.0.0.1:${(silent.address() as AddressInfo).port}/live?dc=a` }), 'no connection in time')
  t.ok(performance.now() - began < 5_000)
  t.match(await reasonOf(t, { STORE_URL: 'cassandra://127.0.0.1:1/live?dc=a' }), /^no node answers: 127\.0\.0\.1:1: connect ECONNREFUSED/)
})
