import t from 'tap'
import { WIRE_VERSION } from '../../../protocol/wire.js'
import { checkProof, newNonce, printProof } from '../../../runtime/peers/proof.js'

const TOKEN = 'a token of the parts'
const OTHER = 'another token of theirs'
const url = 'http://10.0.0.7:9081'
const nonce = newNonce()
const proof = (tokens: string, at = url, of = nonce) => printProof(tokens, { instance: 'i1', url: at }, of)!

t.test('whoever knows the token proves it for a nonce, its instance and its URL', async t => {
  t.equal(checkProof(TOKEN, url, nonce, proof(TOKEN)), 'i1')
  t.equal(checkProof(TOKEN, 'http://10.0.0.7:9081/', nonce, proof(TOKEN, 'HTTP://10.0.0.7:9081')), 'i1', 'one origin, written in two ways')
  t.not(newNonce(), newNonce())
})

t.test('a proof by another token, for another nonce, for another URL or edited is none', async t => {
  const wrong: Record<string, string> = {
    'another token': proof(OTHER),
    'a beginning of the token': proof(TOKEN.slice(0, -1)),
    'another nonce, heard before': proof(TOKEN, url, newNonce()),
    'of a part at another port, relayed': proof(TOKEN, 'http://10.0.0.7:9082'),
    'of a part at another host, relayed': proof(TOKEN, 'http://10.0.0.8:9081'),
    'another scheme': proof(TOKEN, 'https://10.0.0.7:9081'),
    'another instance': proof(TOKEN).replace(' i1 ', ' i2 '),
    'another wire version': proof(TOKEN).replace(`${WIRE_VERSION} `, `${WIRE_VERSION + 1} `),
    'cut short': proof(TOKEN).slice(0, -2),
    'in capitals': proof(TOKEN).toUpperCase(),
    'without an HMAC': `${WIRE_VERSION} i1 `,
    'too many': `${WIRE_VERSION} i1 ${Array.from({ length: 17 }, () => proof(TOKEN).split(' ')[2]).join()}`,
    nothing: '',
    'two headers': `${proof(OTHER)},${proof(TOKEN)}`,
  }
  for (const [what, text] of Object.entries(wrong)) t.equal(checkProof(TOKEN, url, nonce, text), undefined, what)
})

t.test('while the token is changed a part proves all that it accepts, and a caller wants the one that it would send', async t => {
  for (const tokens of [`${TOKEN},${OTHER}`, `${OTHER},${TOKEN}`]) for (const token of [TOKEN, OTHER]) t.equal(checkProof(token, url, nonce, proof(tokens)), 'i1')
  t.equal(checkProof('a third token, not of theirs', url, nonce, proof(`${TOKEN},${OTHER}`)), undefined)
})

t.test('a nonce is 16 to 64 bytes in base64url: for anything else there is no proof', async t => {
  for (const each of ['x'.repeat(22), 'x'.repeat(86), newNonce()]) t.type(printProof(TOKEN, { instance: 'i1', url }, each), 'string')
  for (const each of ['', 'x'.repeat(21), 'x'.repeat(87), `${'x'.repeat(30)} `, `${'x'.repeat(30)}"`, `${'x'.repeat(30)}\n`]) t.equal(printProof(TOKEN, { instance: 'i1', url }, each), undefined, JSON.stringify(each))
})
