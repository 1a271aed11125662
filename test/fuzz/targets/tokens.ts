import { Buffer } from 'node:buffer'
import { generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import { LiveError } from '../../../protocol/errors.js'
import { parseJwks } from '../../../runtime/auth/keys.js'
import { readToken, SKEW_MS, type Bearer } from '../../../runtime/auth/token.js'
import { bytes } from '../grammar.js'
import { hostile } from '../mutate.js'
import { must, type Target } from '../target.js'

const NOW_MS = 1_750_000_000_000
const VIDEO = 'demo'
const RULES = { audience: 'live', issuer: 'https://site.example' }

interface Pair {
  readonly alg: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

const signers = { ec: 'ES256', ed: 'EdDSA', rsa: 'RS256' } as const
const kid = fc.constantFrom('ec', 'ed', 'rsa')
const anyHeader = fc.record({
  alg: fc.constantFrom('ES256', 'EdDSA', 'Ed25519', 'RS256', 'HS256', 'none', 'PS256'),
  kid: fc.oneof(kid, fc.constantFrom('other', '', '__proto__', 0, null, ['ec'])),
}, { requiredKeys: ['alg'] })
/** Who signs, and a header that says so, or another one. */
const signed = kid.chain(signer => fc.oneof({ weight: 4, arbitrary: fc.constant({ alg: signers[signer], kid: signer }) }, { weight: 1, arbitrary: anyHeader }).map(header => `${signer} ${JSON.stringify(header)}`))
const seconds = NOW_MS / 1000
const claims = fc.record({
  sub: fc.oneof({ weight: 4, arbitrary: fc.constant('ann') }, { weight: 1, arbitrary: fc.constantFrom('', 'x'.repeat(65), 'a\nb', 7, null, '\u{1f600}', '\u200b', 'a\u202eb') }),
  exp: fc.oneof({ weight: 4, arbitrary: fc.constant(seconds + 60) }, { weight: 1, arbitrary: fc.constantFrom(seconds - 29, seconds - 31, 0, -1, 1e308, 1.5, '99999999999', null, seconds * 1000) }),
  aud: fc.oneof({ weight: 4, arbitrary: fc.constant<unknown>('live') }, { weight: 1, arbitrary: fc.constantFrom<unknown>(['shop', 'live'], 'shop', [], 1) }),
  iss: fc.oneof({ weight: 4, arbitrary: fc.constant(RULES.issuer) }, { weight: 1, arbitrary: fc.constantFrom('https://other.example', '') }),
  nbf: fc.constantFrom<unknown>(seconds - 60, seconds + 29, seconds + 31, 'now'),
  name: fc.constantFrom<unknown>('Ann', '', 'x'.repeat(65), 5),
  videos: fc.constantFrom<unknown>('*', [VIDEO], ['other'], VIDEO, [], {}, [[VIDEO]], ['*']),
}, { requiredKeys: ['sub', 'exp', 'aud', 'iss'] })
/** What the token ends with instead of its signature: nothing here, the signature itself. */
const ending = fc.oneof({ weight: 4, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constantFrom('.', 'AA', 'A'.repeat(86), '!', '='.repeat(4)) })

/** Three lines: who signs and the header, the claims, and what stands in place of the signature. So a token may be
 * signed and hold anything. */
export const tokens: Target = {
  name: 'tokens',
  what: 'tokens, with headers and claims of every kind truly signed, and with other signatures',
  cases: 3_000,
  inputs: hostile(fc.tuple(signed, claims, ending).map(([first, body, end]) => bytes(`${first}\n${JSON.stringify(body)}\n${end}`)), [
    '"alg"', '"none"', '"HS256"', '"kid"', '"crit"', '"b64"', '"zip"', '"jwk"', '"x5c"', '"exp"', '"sub"', '"videos"', '"*"', '1e999', 'null', '.',
  ]),
  open() {
    const pairs = new Map<string, Pair>([
      ['ec', { alg: signers.ec, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) }],
      ['ed', { alg: signers.ed, ...generateKeyPairSync('ed25519') }],
      ['rsa', { alg: signers.rsa, ...generateKeyPairSync('rsa', { modulusLength: 2048 }) }],
    ])
    const keys = parseJwks(JSON.stringify({ keys: Array.from(pairs, ([name, { publicKey }]) => ({ kid: name, ...publicKey.export({ format: 'jwk' }) })) }))
    return {
      async check(input) {
        const [first = '', body = '', end = ''] = input.toString().split('\n')
        const space = first.indexOf(' ')
        const content = [first.slice(space + 1), body].map(part => Buffer.from(part).toString('base64url')).join('.')
        const token = `${content}.${end !== '' ? end : signatureOf(content, pairs.get(first.slice(0, space)) ?? pairs.get('ec')!)}`
        let bearer: Bearer
        try {
          bearer = await readToken(token, VIDEO, keys, RULES, NOW_MS)
        } catch (error) {
          if (!(error instanceof LiveError)) throw error
          must(error.code === 'UNAUTHORIZED' || error.code === 'FORBIDDEN', `refused as ${error.code}`)
          must(!error.message.includes(token) && !/["\r\n]/.test(error.message), 'the refusal repeats what it was given')
          return
        }
        const head = JSON.parse(first.slice(space + 1)) as { alg: string; kid: string }
        const by = pairs.get(head.kid)
        must(by !== undefined && isSigned(content, token.slice(content.length + 1), by), 'a token was taken that nobody signed')
        must(head.alg === by.alg || (by.alg === 'EdDSA' && head.alg === 'Ed25519'), "a token was taken under another algorithm than its key's")
        const said = JSON.parse(body) as { sub: unknown; exp: number; nbf?: number; aud: unknown; iss: unknown; videos?: unknown }
        must(typeof said.sub === 'string' && said.sub !== '' && bearer.authorId === said.sub, 'the author is not the sub')
        must(said.exp * 1000 + SKEW_MS > NOW_MS && bearer.expiresAt === said.exp * 1000, 'it had expired')
        must(said.nbf === undefined || said.nbf * 1000 <= NOW_MS + SKEW_MS, 'it was not valid yet')
        must([said.aud].flat().includes(RULES.audience) && said.iss === RULES.issuer, 'it was for others')
        must(said.videos === undefined || [said.videos].flat().some(video => video === '*' || (video === VIDEO && Array.isArray(said.videos))), 'it was for other videos')
      },
    }
  },
}

function signatureOf(content: string, { alg, privateKey }: Pair): string {
  return sign(alg === 'EdDSA' ? null : 'sha256', Buffer.from(content), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')
}

function isSigned(content: string, signature: string, { alg, publicKey }: Pair): boolean {
  return verify(alg === 'EdDSA' ? null : 'sha256', Buffer.from(content), { key: publicKey, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))
}
