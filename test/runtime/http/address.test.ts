import ipaddr from 'ipaddr.js'
import t from 'tap'
import { addressOf, keysOf } from '../../../runtime/http/address.js'

/** As the server gives a peer's. */
const bytesOf = (address: string): ArrayBuffer => Uint8Array.from(ipaddr.parse(address).toByteArray()).buffer

t.test('a peer is the address in its bytes, IPv4 where it is mapped', async t => {
  for (const text of ['192.0.2.1', '127.0.0.1', '0.0.0.0', '255.255.255.255', '2001:db8::1', '::1', '::', '::7f00:1', '64:ff9b::c000:201', '::ffff:0:1.2.3.4']) {
    t.equal(addressOf(bytesOf(text))?.toString(), ipaddr.parse(text).toString(), text)
  }
  t.equal(addressOf(bytesOf('::ffff:192.0.2.1'))?.toString(), '192.0.2.1')
  t.equal(addressOf(new ArrayBuffer(0)), undefined)
})

t.test('each of many addresses has keys of its own, asked once or again', async t => {
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 3_000; i++) {
      const address = `10.${i >> 8}.${i & 255}.1`
      if (keysOf(addressOf(bytesOf(address))!).join() !== address) t.fail(address)
    }
  }
})
