import t from 'tap'
import { parseSecrets, signatureOf, signed } from '../../../dispatcher/hooks/signature.js'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

t.test('a signature is that of Standard Webhooks, by the example of its own libraries', async t => {
  const [secret] = parseSecrets(SECRET)
  t.equal(signatureOf('msg_p5jXN8AQM9LWM0D4loKWxJek', '1614265330', '{"test": 2432232314}', secret!), 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
})

t.test('a body that is sent again has the same id, and each secret signs it', async t => {
  const secrets = parseSecrets(`${SECRET}, whsec_${Buffer.alloc(64, 7).toString('base64')}`)
  const first = signed('{"events":[]}', secrets, 1_700_000_000_999)
  const again = signed('{"events":[]}', secrets, 1_700_000_060_000)
  t.equal(first['webhook-timestamp'], '1700000000')
  t.equal(first['webhook-id'], again['webhook-id'])
  t.match(first['webhook-signature'], /^v1,\S{44} v1,\S{44}$/)
  t.not(first['webhook-id'], signed('{"events":[{}]}', secrets, 0)['webhook-id'])
})

t.test('a secret that is none is refused by the rule, and not repeated', async t => {
  for (const text of ['secret', 'whsec_', 'whsec_c2hvcnQ=', `whsec_${Buffer.alloc(65).toString('base64')}`, `${SECRET},`, `${SECRET},whsec_äöü`]) {
    t.throws(() => parseSecrets(text), { message: /^must be whsec_ and 24 to 64 random bytes in base64; several/ }, text)
  }
})
