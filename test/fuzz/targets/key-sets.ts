import fc from 'fast-check'
import { KeySetError, parseJwks } from '../../../runtime/auth/keys.js'
import { Issuer } from '../../support/issuer.js'
import { bytes } from '../grammar.js'
import { hostile } from '../mutate.js'
import { must, type Target } from '../target.js'

/** Public keys, one of each kind: the same in every run, so that a seed gives the same cases. */
const SET = {
  keys: [
    { kid: 'ec', kty: 'EC', crv: 'P-256', x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4', y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM' }, // RFC 7517, appendix A.1
    { kid: 'ed', kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }, // RFC 8037, appendix A.2
  ],
}

/** The file of AUTH_JWKS_FILE. */
export const keySets: Target = {
  name: 'key-sets',
  what: 'key sets',
  cases: 3_000,
  inputs: hostile(fc.constantFrom(bytes(JSON.stringify(SET)), bytes(new Issuer({ rsa: 'RS256' }).jwks())), ['"kty"', '"RSA"', '"EC"', '"oct"', '"OKP"', '"crv"', '"P-256"', '"d"', '"use"', '"enc"', '"alg"', '"kid"', '"n"', '"e"', '"AQAB"', 'null', '{}']),
  open: () => ({
    check(input) {
      try {
        parseJwks(input.toString())
      } catch (error) {
        if (!(error instanceof KeySetError)) throw error
        must(!/[\r\n]/.test(error.message), 'a line of the log that is two')
      }
    },
  }),
}
