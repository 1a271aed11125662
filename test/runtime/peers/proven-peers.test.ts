import { createServer, type IncomingMessage, type Server } from 'node:http'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { connectWith } from '../../../gateway/relay.js'
import { NONCE_HEADER, PROOF_HEADER } from '../../../protocol/wire.js'
import { InternalClient, type InternalClientOptions } from '../../../runtime/peers/client.js'
import { internalServer } from '../../../runtime/peers/internal-server.js'
import { pingWith } from '../../../runtime/peers/ping.js'
import { printProof } from '../../../runtime/peers/proof.js'
import { ProvenPeers } from '../../../runtime/peers/proven-peers.js'
import { edgeNode } from '../../support/nodes.js'
import { until } from '../../support/until.js'

const TOKEN = 'a-token-of-the-parts'
const ORIGIN = 'http://10.0.0.7:9081'
const call = { path: '/internal/posts', body: '{}', timeoutMs: 2_000 } as const

function newClient(t: Test, options: InternalClientOptions = {}, token = TOKEN): InternalClient {
  const client = new InternalClient(token, options)
  t.after(() => client.close())
  return client
}

interface Listener {
  readonly url: string
  readonly port: number
  /** Method and path of each request, and whether it brought a token. */
  readonly heard: string[]
  readonly tokens: string[]
  close(): Promise<void>
}

/** Somebody who listens at a port. @param proof what it says to a nonce; undefined: it knows of no proofs */
async function listen(t: Test, proof: (nonce: string, url: string) => string | undefined | Promise<string | undefined>, { port = 0, status = 200 } = {}): Promise<Listener> {
  const heard: string[] = []
  const tokens: string[] = []
  const answer = async (request: IncomingMessage): Promise<Record<string, string>> => {
    heard.push(`${request.method} ${request.url}`)
    if (request.headers.authorization !== undefined) tokens.push(request.headers.authorization)
    const nonce = request.headers[NONCE_HEADER]
    const said = typeof nonce === 'string' ? await proof(nonce, listener.url) : undefined
    return said === undefined ? {} : { [PROOF_HEADER]: said }
  }
  const server: Server = createServer((request, response) => void answer(request).then(headers => response.writeHead(status, headers).end('{}')))
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  const taken = (server.address() as { port: number }).port
  const listener: Listener = {
    url: `http://127.0.0.1:${taken}`,
    port: taken,
    heard,
    tokens,
    close: () => new Promise(resolve => {
      server.close(() => resolve())
      server.closeAllConnections()
    }),
  }
  t.after(() => listener.close())
  return listener
}

const ours = (instance = 'i1', tokens = TOKEN) => (nonce: string, url: string) => printProof(tokens, { instance, url }, nonce)

t.test('a peer proves itself once, before anything else, however many calls follow', async t => {
  const peer = await listen(t, ours())
  const client = newClient(t, { proof: 'require' })
  await Promise.all(Array.from({ length: 20 }, () => client.call(peer.url, { ...call, to: 'i1' })))
  for (let i = 0; i < 20; i++) await client.call(peer.url, call)
  t.equal(peer.heard[0], 'GET /healthz')
  t.equal(peer.heard.filter(each => each === 'GET /healthz').length, 1)
  t.equal(peer.tokens.length, 40)
})

t.test('a stranger hears no token, whatever it answers, and the caller learns that nothing was sent', async t => {
  const part = await listen(t, ours())
  const relayed = async (nonce: string) => (await fetch(part.url, { headers: { [NONCE_HEADER]: nonce } })).headers.get(PROOF_HEADER) ?? undefined
  const strangers = { silent: await listen(t, () => undefined), refusing: await listen(t, () => undefined, { status: 404 }), guessing: await listen(t, () => `1 i1 ${'0'.repeat(64)}`), relaying: await listen(t, relayed), echoing: await listen(t, nonce => nonce) }
  const said: string[] = []
  const client = newClient(t, { proof: 'require', onUnproven: (origin, proof) => said.push(`${origin} ${proof}`) })
  for (const [name, stranger] of Object.entries(strangers)) {
    await t.rejects(client.call(stranger.url, call), { name: 'PeerError', failure: 'unproven', sent: false }, name)
    t.equal(await pingWith(client)(edgeNode('e1', { internalUrl: stranger.url }), 2_000), 'unproven', name)
    const failures: string[] = []
    connectWith(client)(edgeNode('e1', { internalUrl: stranger.url }), { videoId: 'v', after: undefined, recent: undefined, gzip: false }, { data: () => t.fail('a stranger is read'), lost: failure => failures.push(failure) })
    await until(() => failures.length > 0)
    t.same(failures, ['unproven'], name)
    t.same(stranger.tokens, [], name)
    t.ok(stranger.heard.every(each => each === 'GET /healthz'), name)
  }
  t.ok(said.includes(`${strangers.silent.url} none`) && said.includes(`${strangers.relaying.url} wrong`))
})

t.test('preferred, a peer of the former version is trusted, and a wrong proof never', async t => {
  const client = newClient(t)
  for (const status of [200, 401, 404]) {
    const former = await listen(t, () => undefined, { status })
    await client.call(former.url, call).catch(() => {})
    await client.call(former.url, { ...call, to: 'i1' }).catch(() => {})
    t.equal(former.tokens.length, 2, `${status}`)
  }
  const wrong = await listen(t, ours('i1', 'a-token-of-other-parts'))
  await t.rejects(client.call(wrong.url, call), { name: 'PeerError', failure: 'unproven', status: 401 })
  t.same(wrong.tokens, [])
})

t.test('a new instance in the registry is asked anew, and so is whoever listens after the connections have ended', async t => {
  const first = await listen(t, ours())
  const client = newClient(t, { proof: 'require' })
  const proofs = (peer: Listener) => peer.heard.filter(each => each === 'GET /healthz').length
  await client.call(first.url, { ...call, to: 'i1' })
  await client.call(first.url, { ...call, to: 'i2' })
  await client.call(first.url, { ...call, to: 'i2' })
  await client.call(first.url, { ...call, to: 'i1' })
  t.equal(proofs(first), 2)
  await first.close()
  const second = await listen(t, () => undefined, { port: first.port })
  await until(async () => (await client.call(second.url, call).then(() => 'answered', (error: { failure: string }) => error.failure)) === 'unproven')
  t.same(second.tokens, [])
})

t.test('a peer that does not answer for a proof is silent; one that is not there refuses', async t => {
  const client = newClient(t, { proof: 'require' })
  const silent = await listen(t, () => new Promise(() => {}))
  const since = performance.now()
  await t.rejects(client.call(silent.url, { ...call, timeoutMs: 100 }), { name: 'PeerError', failure: 'timeout', sent: false })
  t.ok(performance.now() - since < 900, 'its own limit holds')
  await t.rejects(client.call('http://127.0.0.1:1', call), { name: 'PeerError', failure: 'refused', sent: false })
})

t.test('the internal port of a part proves what it accepts, at the URL that it is reached at', async t => {
  let url: string | undefined
  const server = internalServer({ token: `a-new-token-of-the-parts,${TOKEN}`, metrics: new Registry(), identity: { id: 'e1', instance: 'i1', version: '0' }, url: () => url, notReady: () => undefined, onBug: error => t.fail(String(error)) })
  t.after(() => server.close())
  const here = `http://127.0.0.1:${server.listen('127.0.0.1', 0)}`
  const ping = { method: 'GET', path: '/internal/ping', timeoutMs: 2_000 } as const
  await t.rejects(newClient(t, { proof: 'require' }).call(here, ping), { name: 'PeerError', failure: 'unproven' }, 'it does not know yet where it is')
  url = here
  t.match(JSON.parse((await newClient(t, { proof: 'require' }).call(here, ping)).toString()), { id: 'e1' })
  url = 'http://127.0.0.1:1'
  await t.rejects(newClient(t, { proof: 'require' }).call(here, ping), { name: 'PeerError', failure: 'unproven', status: 401 }, 'it is elsewhere')
  t.equal((await fetch(`${here}/healthz`, { headers: { [NONCE_HEADER]: 'short' } })).headers.get(PROOF_HEADER), null)
  t.equal((await fetch(`${here}/readyz`, { headers: { [NONCE_HEADER]: 'x'.repeat(30) } })).headers.get(PROOF_HEADER), null)
})

t.test('without a token nobody has anything to prove', async t => {
  const peer = await listen(t, () => undefined)
  const client = new InternalClient(undefined, { proof: 'require' })
  t.after(() => client.close())
  await client.call(peer.url, call)
  t.same(peer.heard, ['POST /internal/posts'])
})

/** Peers whose connections the test opens and ends. `ask` gives their proof, and is counted. */
function trust(ask: (nonce: string) => Promise<string | undefined> | string | undefined = nonce => ours()(nonce, ORIGIN)) {
  let asked = 0
  const peers = new ProvenPeers({ token: TOKEN, rule: 'require', ask: async (_, nonce) => {
    asked++
    return ask(nonce)
  } })
  return { peers, asked: () => asked }
}

t.test('a proof holds until the last of the connections has ended, and none that ended counts for later ones', async t => {
  const { peers, asked } = trust()
  for (let round = 1; round <= 2; round++) {
    peers.connected(ORIGIN)
    peers.connected(ORIGIN)
    await peers.prove(ORIGIN, 'i1')
    peers.disconnected(ORIGIN)
    t.equal(peers.prove(ORIGIN, 'i1'), undefined, 'one is open')
    peers.disconnected(ORIGIN)
    t.equal(asked(), round)
  }
  t.type(peers.prove(ORIGIN, 'i1'), Promise)
})

t.test('a proof whose connection has ended before it was read is not kept', async t => {
  const { peers } = trust(nonce => {
    peers.disconnected(ORIGIN)
    return ours()(nonce, ORIGIN)
  })
  peers.connected(ORIGIN)
  await peers.prove(ORIGIN, 'i1')
  t.type(peers.prove(ORIGIN, 'i1'), Promise)
})

t.test('a wrong proof ends the trust of an earlier one', async t => {
  const proofs = [ours(), ours('i2', 'a-token-of-other-parts')]
  const { peers } = trust(nonce => proofs.shift()?.(nonce, ORIGIN))
  peers.connected(ORIGIN)
  await peers.prove(ORIGIN, 'i1')
  await t.rejects(peers.prove(ORIGIN, 'i2')!, { name: 'PeerError', failure: 'unproven', status: 401 })
  await t.rejects(peers.prove(ORIGIN, 'i1')!, { name: 'PeerError', failure: 'unproven' })
})
